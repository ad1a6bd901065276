"""Matrix products of the samples of one tile, in registers.

A library's product has bits that depend on how many rows it is given, and on its threads. Here an
entry is one chain of fused multiply-adds in a written order, in which columns, samples, never meet:
a sample's bits depend on its inputs alone, and what an entry may be off is known from the chain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiling import TILE

ROWS = 6  # of a product at a time: with four vectors each they fill the registers
_VECTORS, _BYTES = 4, 64
LANES = TILE // 2  # columns of a product at a time
BAND = 32  # columns of a pair at a time
_GIVEN = "out at step a begin across along x first stride count add".split()

if config.DISABLE_JIT:

    def _panel_of(rows: int, lanes: int) -> Any:
        def panel(out: Any, at: int, step: int, a: Any, *rest: Any) -> None:
            begin, across, along, x, first, stride, count, add = rest
            for i in range(rows):
                to = slice(at + i * step, at + i * step + lanes)
                total = out[to] if add else np.zeros_like(out[to])
                for q in range(count):
                    row = x[first + q * stride : first + q * stride + lanes]
                    total = total + a[begin + i * across + q * along] * row
                out[to] = total

        return panel

    def lowest(word: Any) -> int:
        """See below."""
        return (int(word) & -int(word)).bit_length() - 1

else:

    @intrinsic
    def lowest(typing_context, word):
        """The place of the lowest bit that is set, of one that is."""

        def generate(context, builder, sig, args):
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

        return types.intp(types.uint64), generate

    def _many(builder: Any, wide: Any, one: Any) -> Any:
        """A vector of one number."""
        none, word = ir.Constant(wide, ir.Undefined), ir.IntType(32)
        first = builder.insert_element(none, one, word(0))
        lanes = ir.Constant(ir.VectorType(word, wide.count), [0] * wide.count)
        return builder.shuffle_vector(first, none, lanes)

    class _Panel:
        """What `panel` generates: sums of `rows` times some vectors, that stay in registers."""

        def __init__(self, rows: int, context: Any, builder: Any, sig: Any, args: Any) -> None:
            self.rows, self.builder = rows, builder
            self.given = dict(zip(_GIVEN, args, strict=True))
            kinds = dict(zip(_GIVEN, sig.args, strict=True))
            for name in ("out", "a", "x"):
                array = context.make_array(kinds[name])(context, builder, self.given[name])
                self.given[name] = array.data
            real = context.get_data_type(kinds["x"].dtype)
            self.size = 8 if real == ir.DoubleType() else 4
            self.wide = ir.VectorType(real, _BYTES // self.size)
            self.index = self.given["at"].type
            name = f"llvm.fma.v{self.wide.count}f{8 * self.size}"
            kind = ir.FunctionType(self.wide, [self.wide] * 3)
            self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

        def place(self, name: str, start: str, row: Any, step: str, lane: int) -> Any:
            """Where a vector of a row lies."""
            b, given = self.builder, self.given
            at = b.add(given[start], b.mul(row, given[step]))
            at = b.add(at, self.index(lane * self.wide.count))
            return b.bitcast(b.gep(given[name], [at]), self.wide.as_pointer())

        def columns(self, lanes: range) -> None:
            """The product of these vectors of columns."""
            b, given, index = self.builder, self.given, self.index
            spots = [(i, lane) for i in range(self.rows) for lane in lanes]
            ends = {(i, lane): self.place("out", "at", index(i), "step", lane) for i, lane in spots}
            sums = {spot: cgutils.alloca_once(b, self.wide) for spot in spots}
            for spot, total in sums.items():
                held = b.load(ends[spot], align=self.size)
                b.store(b.select(given["add"], held, ir.Constant(self.wide, None)), total)
            with cgutils.for_range(b, given["count"], intp=index) as loop:
                places = [self.place("x", "first", loop.index, "stride", lane) for lane in lanes]
                row = [b.load(place, align=self.size) for place in places]
                start = b.add(given["begin"], b.mul(loop.index, given["along"]))
                for i in range(self.rows):
                    at = b.add(start, b.mul(index(i), given["across"]))
                    factor = _many(b, self.wide, b.load(b.gep(given["a"], [at]), align=self.size))
                    for lane, values in zip(lanes, row, strict=True):
                        total = sums[i, lane]
                        b.store(b.call(self.fma, [factor, values, b.load(total)]), total)
            for spot, total in sums.items():
                b.store(b.load(total), ends[spot], align=self.size)

    def _panel_of(rows: int, lanes: int) -> Any:
        @intrinsic
        def panel(
            typing_context, out, at, step, a, begin, across, along, x, first, stride, count, add
        ):
            number = types.intp
            kinds = [out, number, number, a, number, number, number, x, number, number, number]

            def generate(context, builder, sig, args):
                made = _Panel(rows, context, builder, sig, args)
                vectors = lanes // made.wide.count
                for lane in range(0, vectors, _VECTORS):
                    made.columns(range(lane, min(lane + _VECTORS, vectors)))
                return context.get_dummy_value()

            return types.void(*kinds, types.boolean), generate

        return panel


# Rows i of some columns of a product, to out[at + i step ..]: the sum over q below `count`, in this
# order, of a[begin + i across + q along] x[first + q stride ..], beside what is there where `add`.
panel = _panel_of(ROWS, LANES)
pair, single = _panel_of(2, BAND), _panel_of(1, BAND)
