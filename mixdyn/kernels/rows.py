"""Single rows of numbers in whole vectors: squares of differences, and sums of them.

LLVM sums a chain one number after the other, as it is written. Here chains stand side by side, and
are joined in a written order, so that the bits depend on the two rows alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

if config.DISABLE_JIT:

    def gap_square(x: Any, a: Any) -> Any:
        """See below."""
        return np.square(x - a).sum()

    def add_gap(e: Any, x: Any, a: Any, move: Any) -> None:
        """See below."""
        move += e * (a - x)

    def prefetch(a: Any, at: Any) -> None:
        """See below."""

else:
    _ONE = ir.DoubleType()
    _WIDE = ir.VectorType(_ONE, 8)
    _STRIDES = 32, 8, 1  # numbers at a time: what whole ones leave over goes to the next

    def _fused(builder: Any, *given: Any) -> Any:
        kind = given[0].type
        name = f"llvm.fma.{'v8f64' if kind == _WIDE else 'f64'}"
        of = ir.FunctionType(kind, [kind] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, of, name), given)

    def _along(builder: Any, arrays: list[Any], body: Any) -> None:
        """body(lane, values, places) for every group of numbers that stand at one place of rows of
        one length, `lane` its vector in a stride."""
        stop = builder.extract_value(arrays[0].shape, 0)
        at, index = stop.type(0), stop.type
        for stride in _STRIDES:
            kind = _ONE if stride == 1 else _WIDE
            count = builder.sdiv(builder.sub(stop, at), index(stride))
            with cgutils.for_range(builder, count, intp=index) as loop:
                start = builder.add(at, builder.mul(loop.index, index(stride)))
                for lane in range(max(stride // 8, 1)):
                    spot = builder.add(start, index(8 * lane))
                    places = [builder.gep(row.data, [spot]) for row in arrays]
                    places = [builder.bitcast(place, kind.as_pointer()) for place in places]
                    body(lane, [builder.load(place, align=8) for place in places], places)
            at = builder.add(at, builder.mul(count, index(stride)))

    def _made(context: Any, builder: Any, sig: Any, args: Any) -> list[Any]:
        pairs = zip(sig.args, args, strict=True)
        arrays = [(kind, given) for kind, given in pairs if isinstance(kind, types.Array)]
        return [context.make_array(kind)(context, builder, given) for kind, given in arrays]

    @intrinsic
    def gap_square(typing_context, x, a):
        """|x - a|^2 of two rows (d,)."""

        def generate(context, builder, sig, args):
            none = ir.Constant(_WIDE, None)
            sums = [cgutils.alloca_once_value(builder, none) for _ in range(_STRIDES[0] // 8)]
            rest = cgutils.alloca_once_value(builder, _ONE(0.0))

            def add(lane, values, places):
                gap = builder.fsub(*values)
                total = rest if gap.type == _ONE else sums[lane]
                builder.store(_fused(builder, gap, gap, builder.load(total)), total)

            _along(builder, _made(context, builder, sig, args), add)
            one, two, three, four = (builder.load(total) for total in sums)
            joined = builder.fadd(builder.fadd(one, two), builder.fadd(three, four))
            lanes = [builder.extract_element(joined, ir.IntType(32)(i)) for i in range(8)]
            while len(lanes) > 1:
                half = len(lanes) // 2
                lanes = [builder.fadd(lanes[i], lanes[i + half]) for i in range(half)]
            return builder.fadd(lanes[0], builder.load(rest))

        return types.float64(x, a), generate

    @intrinsic
    def add_gap(typing_context, e, x, a, move):
        """move (d,) += e (a - x), x and a (d,)."""

        def generate(context, builder, sig, args):
            factor = ir.Constant(_WIDE, ir.Undefined)
            for i in range(8):
                factor = builder.insert_element(factor, args[0], ir.IntType(32)(i))

            def add(_, values, places):
                here, there, moved = values
                gap = builder.fsub(there, here)
                times = args[0] if gap.type == _ONE else factor
                builder.store(_fused(builder, times, gap, moved), places[2], align=8)

            _along(builder, _made(context, builder, sig, args), add)
            return context.get_dummy_value()

        return types.void(e, x, a, move), generate

    @intrinsic
    def prefetch(typing_context, a, at):
        """Ask for the line of a flat array that holds a[at], for the second-level cache; beyond its
        end nothing happens."""

        def generate(context, builder, sig, args):
            array = context.make_array(sig.args[0])(context, builder, args[0])
            word, byte = ir.IntType(32), ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            place = builder.bitcast(builder.gep(array.data, [args[1]]), byte)
            builder.call(ask, [place, word(0), word(2), word(1)])
            return context.get_dummy_value()

        return types.void(a, types.intp), generate
