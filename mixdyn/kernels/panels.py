"""Matrix products of the samples of one tile, in registers.

A library's product has bits that depend on how many rows it is given, and on its threads. Here an
entry is one chain of fused multiply-adds in a written order, in which columns, samples, never meet:
a sample's bits depend on its inputs alone, and what an entry may be off is known from the chain.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiling import TILE

ROWS = 6  # of a product at a time: with four vectors each they fill the registers
_VECTORS, _BYTES = 4, 64
LANES = TILE // 2  # columns at a time
_GIVEN = ("out", "at", "a", "begin", "across", "along", "x", "first", "count", "add")

if config.DISABLE_JIT:

    def panel(
        out: Any, at: int, a: Any, begin: int, across: int, along: int, x: Any, *rest: int
    ) -> None:
        first, count, add = rest
        for i in range(ROWS):
            to = slice(at + i * TILE, at + i * TILE + LANES)
            total = out[to] if add else 0 * out[to]
            for q in range(count):
                row = x[first + q * TILE : first + q * TILE + LANES]
                total = total + a[begin + i * across + q * along] * row
            out[to] = total

    def lowest(word: Any) -> int:
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
        """What `panel` generates: ROWS times _VECTORS sums that stay in registers."""

        def __init__(self, context: Any, builder: Any, sig: Any, args: Any) -> None:
            self.builder = builder
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

        def place(self, name: str, start: Any, row: Any, lane: int) -> Any:
            """Where a vector of a row of LANES columns lies."""
            b = self.builder
            at = b.add(start, b.mul(row, self.index(TILE)))
            at = b.add(at, self.index(lane * self.wide.count))
            return b.bitcast(b.gep(self.given[name], [at]), self.wide.as_pointer())

        def columns(self, lanes: range) -> None:
            """The product of these vectors of columns."""
            b, given, index = self.builder, self.given, self.index
            spots = [(i, lane) for i in range(ROWS) for lane in lanes]
            sums = {spot: cgutils.alloca_once(b, self.wide) for spot in spots}
            for (i, lane), total in sums.items():
                held = b.load(self.place("out", given["at"], index(i), lane), align=self.size)
                none = ir.Constant(self.wide, None)
                b.store(b.select(given["add"], held, none), total)
            with cgutils.for_range(b, given["count"], intp=index) as loop:
                row = {
                    lane: b.load(self.place("x", given["first"], loop.index, lane), align=self.size)
                    for lane in lanes
                }
                start = b.add(given["begin"], b.mul(loop.index, given["along"]))
                for i in range(ROWS):
                    at = b.add(start, b.mul(index(i), given["across"]))
                    one = b.load(b.gep(given["a"], [at]), align=self.size)
                    factor = _many(b, self.wide, one)
                    for lane in lanes:
                        total = sums[i, lane]
                        b.store(b.call(self.fma, [factor, row[lane], b.load(total)]), total)
            for (i, lane), total in sums.items():
                to = self.place("out", given["at"], index(i), lane)
                b.store(b.load(total), to, align=self.size)

    @intrinsic
    def panel(typing_context, out, at, a, begin, across, along, x, first, count, add):
        """Row i, below ROWS, of LANES columns of a product, to the flat array out (rows TILE,) from
        `at` on: the sum over q below `count` of a[begin + i across + q along] times row q of x
        (rows TILE,) from `first` on, in this order; beside what is there where `add`."""
        number, flag = types.intp, types.boolean
        signature = types.void(out, number, a, number, number, number, x, number, number, flag)

        def generate(context, builder, sig, args):
            made = _Panel(context, builder, sig, args)
            vectors = LANES // made.wide.count
            for lane in range(0, vectors, _VECTORS):
                made.columns(range(lane, min(lane + _VECTORS, vectors)))
            return context.get_dummy_value()

        return signature, generate
