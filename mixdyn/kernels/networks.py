"""A residual MLP, a tile of samples at a time through all of its layers, in the precision of its
weights.

    h = enter(x);  h += second(leaky(first(norm(h) + e)))  per block;  leave(leaky(norm(h)))

with e the embedding of the time, the same for all samples. A tile lies feature by feature,
(features columns,), so that norms and activations are passes over samples. A linear map takes ROWS
of its outputs at a time: their sums stay in registers while its inputs stream by, once.

What depends on no sample is done before, in double: a norm's own scale and shift go into the map
behind it, with the time and its bias. The first block's first map is composed with `enter`, as
between them there is only centring and a scale: in two dimensions that saves a sixth of all
operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .arithmetic import wide
from .compiling import cached, inlined, on_tile, over_rows

# As many sums as leave room in the registers for the inputs and a weight: rows, and the bytes of a
# row of a tile.
ROWS, SPAN = (8, 128) if binding.get_host_cpu_features().get("avx512f") else (6, 64)
NORM_EPS, SLOPE = 1e-5, 0.01  # of the norms; of the activation below zero


class Weights(NamedTuple):
    """A network of L blocks of width H as the kernel reads it, of one precision; see `packed`.

    Maps are packed, (outputs/ROWS, inputs, ROWS), biases padded to whole ROWS. enter: d -> H.
    opening: (x, 1) -> H, `enter`, centring and the first map of the first block in one. first (L -
    1, ...), second (L, ...): the maps of the blocks. scale, shift (H,): of the last norm. leave: H
    -> d.
    """

    enter: Any
    enter_bias: Any
    opening: Any
    first: Any
    second: Any
    second_bias: Any
    scale: Any
    shift: Any
    leave: Any
    leave_bias: Any


def padded(values: Any, real: Any) -> Any:
    """(..., m) in a precision, filled up with zeros to whole ROWS."""
    m = values.shape[-1]
    filled = np.zeros((*values.shape[:-1], m + -m % ROWS), real)
    filled[..., :m] = values
    return filled


def packed(weight: Any, real: Any) -> Any:
    """A map (..., outputs, inputs) with ROWS of its outputs side by side, (..., outputs/ROWS,
    inputs, ROWS) in a precision."""
    columns = padded(np.swapaxes(weight, -1, -2), real)
    split = columns.reshape(*columns.shape[:-1], columns.shape[-1] // ROWS, ROWS)
    return np.ascontiguousarray(np.swapaxes(split, -3, -2))


if config.DISABLE_JIT:

    def _leaky(y: Any, slope: Any) -> Any:
        return np.where(y > 0.0, y, slope * y)

    def _rows(tile: Any, count: int) -> Any:
        columns = SPAN // tile.itemsize
        return tile[: count * columns].reshape(count, columns)

    def _map_rows(weights: Any, n: int, bias: Any, x: Any, slope: Any, add: bool, out: Any) -> None:
        rows = _rows(out, ROWS)
        y = weights.T @ _rows(x, n) + bias[:ROWS, None]
        rows[:] = _leaky(rows + y if add else y, slope)

    def _normalise(h: Any, count: int, x: Any, rows: int, centred: bool, out: Any) -> None:
        held = _rows(h, count)
        scale = 1.0 / np.sqrt(held.var(axis=0) + NORM_EPS)
        y = _rows(x, rows) - (held.mean(axis=0) if centred else 0.0)
        _rows(out, rows)[:] = y * scale

    def _activate(z: Any, count: int, factor: Any, shift: Any, slope: Any) -> None:
        rows = _rows(z, count)
        rows[:] = _leaky(factor[:, None] * rows + shift[:, None], slope)

else:

    def _data(context: Any, builder: Any, sig: Any, args: Any) -> list[Any]:
        """Every array among the arguments as the pointer to its numbers, the rest as it is."""
        return [
            context.make_array(kind)(context, builder, arg).data
            if isinstance(kind, types.Array)
            else arg
            for kind, arg in zip(sig.args, args, strict=True)
        ]

    def _lanes(real: Any) -> Any:
        """A row of a tile of these numbers."""
        return ir.VectorType(real, SPAN // (4 if isinstance(real, ir.FloatType) else 8))

    def _row(builder: Any, data: Any, index: Any) -> Any:
        """Where row `index` of a tile begins."""
        lanes = _lanes(data.type.pointee)
        begin = builder.mul(index, index.type(lanes.count))
        return builder.bitcast(builder.gep(data, [begin]), lanes.as_pointer())

    def _load(builder: Any, pointer: Any) -> Any:
        return builder.load(pointer, align=4)

    def _store(builder: Any, value: Any, pointer: Any) -> None:
        builder.store(value, pointer, align=4)

    def _activated(builder: Any, y: Any, slope: Any) -> Any:
        positive = builder.fcmp_ordered(">", y, ir.Constant(y.type, None))
        return builder.select(positive, y, builder.fmul(slope, y))

    def _everywhere(builder: Any, number: Any) -> Any:
        """One number in all lanes."""
        lanes = _lanes(number.type)
        none, first = ir.Constant(lanes, ir.Undefined), ir.VectorType(ir.IntType(32), lanes.count)
        one = builder.insert_element(none, number, ir.IntType(32)(0))
        return builder.shuffle_vector(one, none, ir.Constant(first, None))

    def _call(builder: Any, name: str, *args: Any) -> Any:
        """LLVM's own function `name`, lane by lane."""
        lanes = args[0].type
        signature = ir.FunctionType(lanes, [lanes] * len(args))
        name = f"llvm.{name}.v{lanes.count}{lanes.element.intrinsic_name}"
        return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), args)

    @intrinsic
    def _map_rows(typing_context, weights, inputs, bias, x, slope, add, out):
        """The first ROWS rows of out <- leaky(weights x + bias), weights (inputs, ROWS), below zero
        with this slope; `add`: what they were is added before."""

        def generate(context, builder, sig, args):
            weights, inputs, bias, x, slope, add, out = _data(context, builder, sig, args)
            word, sums, places = inputs.type, [], []
            for k in range(ROWS):
                place = _row(builder, out, word(k))
                number = builder.load(builder.gep(bias, [word(k)]))
                first = _everywhere(builder, number)
                before = builder.select(add, _load(builder, place), first.type(None))
                start = builder.fadd(before, first)
                sums.append(cgutils.alloca_once_value(builder, start))
                places.append(place)
            with cgutils.for_range(builder, inputs) as loop:
                column = _load(builder, _row(builder, x, loop.index))
                begin = builder.mul(loop.index, word(ROWS))
                for k, sum_ in enumerate(sums):
                    number = builder.load(builder.gep(weights, [builder.add(begin, word(k))]))
                    product = (_everywhere(builder, number), column, builder.load(sum_))
                    builder.store(_call(builder, "fma", *product), sum_)
            slope = _everywhere(builder, slope)
            for sum_, place in zip(sums, places, strict=True):
                _store(builder, _activated(builder, builder.load(sum_), slope), place)
            return context.get_dummy_value()

        return types.void(weights, inputs, bias, x, slope, add, out), generate

    @intrinsic
    def _normalise(typing_context, h, count, x, rows, centred, out):
        """out <- (x - mean)/standard deviation, of `rows` rows, by the moments of the first `count`
        rows of h; without the mean unless `centred`."""

        def generate(context, builder, sig, args):
            h, count, x, rows, centred, out = _data(context, builder, sig, args)
            real = h.type.pointee
            share = builder.fdiv(real(1.0), builder.sitofp(count, real))
            share = _everywhere(builder, share)
            zero = share.type(None)
            total, square = (cgutils.alloca_once_value(builder, zero) for _ in range(2))
            with cgutils.for_range(builder, count) as loop:
                row = _load(builder, _row(builder, h, loop.index))
                builder.store(builder.fadd(builder.load(total), row), total)
            mean = builder.fmul(builder.load(total), share)
            with cgutils.for_range(builder, count) as loop:
                apart = builder.fsub(_load(builder, _row(builder, h, loop.index)), mean)
                builder.store(_call(builder, "fma", apart, apart, builder.load(square)), square)
            eps = _everywhere(builder, real(NORM_EPS))
            root = _call(builder, "sqrt", _call(builder, "fma", builder.load(square), share, eps))
            scale = builder.fdiv(_everywhere(builder, real(1.0)), root)
            mean = builder.select(centred, mean, zero)
            with cgutils.for_range(builder, rows) as loop:
                apart = builder.fsub(_load(builder, _row(builder, x, loop.index)), mean)
                place = _row(builder, out, loop.index)
                _store(builder, builder.fmul(apart, scale), place)
            return context.get_dummy_value()

        return types.void(h, count, x, rows, centred, out), generate

    @intrinsic
    def _activate(typing_context, z, count, factor, shift, slope):
        """z <- leaky(factor z + shift), a factor and a shift for each of `count` rows."""

        def generate(context, builder, sig, args):
            z, count, factor, shift, slope = _data(context, builder, sig, args)
            slope = _everywhere(builder, slope)
            with cgutils.for_range(builder, count) as loop:
                place = _row(builder, z, loop.index)
                f, s = (
                    _everywhere(builder, builder.load(builder.gep(values, [loop.index])))
                    for values in (factor, shift)
                )
                y = _call(builder, "fma", f, _load(builder, place), s)
                _store(builder, _activated(builder, y, slope), place)
            return context.get_dummy_value()

        return types.void(z, count, factor, shift, slope), generate


@inlined
def _begin(j, tile):
    """Where row j of a tile begins; see `modes.begin_of`."""
    return (j & 0x7FFFFFFF) * (SPAN // tile.itemsize)


@on_tile
def _apply(weights, bias, x, slope, add, out):
    """out <- leaky(weights x + bias), `_map_rows` for all rows: weights (outputs/ROWS, inputs,
    ROWS), x (inputs columns,)."""
    wide()
    for r in range(weights.shape[0]):
        first = r * ROWS
        _map_rows(
            weights[r], weights.shape[1], bias[first:], x, slope, add, out[_begin(first, out) :]
        )


@on_tile
def _sample_tile(first, end, x, weights, times, work, out):
    """The network for the samples first..end; the last fills a tile that is not whole."""
    wide()
    d, columns, number = x.shape[1], SPAN // x.itemsize, x.dtype.type
    width, one, slope = weights.scale.shape[0], number(1.0), number(SLOPE)
    state, h, z, a = work
    for b in range(columns):
        i = min(first + b, end - 1)
        for j in range(d):
            state[j * columns + b] = x[i, j]
        state[d * columns + b] = one
    _apply(weights.enter, weights.enter_bias, state, one, False, h)
    _normalise(h, width, state, d + 1, False, state)
    _apply(weights.opening, times[0], state, slope, False, z)
    _apply(weights.second[0], weights.second_bias[0], z, one, True, h)
    for block in range(1, times.shape[0]):
        _normalise(h, width, h, width, True, a)
        _apply(weights.first[block - 1], times[block], a, slope, False, z)
        _apply(weights.second[block], weights.second_bias[block], z, one, True, h)
    _normalise(h, width, h, width, True, a)
    _activate(a, width, weights.scale, weights.shift, slope)
    _apply(weights.leave, weights.leave_bias, a, one, False, state)
    for b in range(end - first):
        for j in range(d):
            out[first + b, j] = state[j * columns + b]


@cached
def network_rows(begin, end, out, x, weights, times):
    """`residual_mlp` of rows begin..end."""
    columns = SPAN // x.itemsize
    rows = times.shape[1] * columns
    ends = (x.shape[1] + ROWS) * columns  # a state with its one, or the noise and what fills up
    work = (
        np.empty(ends, x.dtype), np.empty(rows, x.dtype),
        np.empty(rows, x.dtype), np.empty(rows, x.dtype),
    )  # fmt: skip
    for first in range(begin, end, columns):
        _sample_tile(first, min(first + columns, end), x, weights, times, work, out)


def residual_mlp(x: Any, weights: Weights, times: Any, out: Any) -> None:
    """The network at x (n, d) and at one time into out (n, d) float64; x, weights and times of one
    precision. times (L, H padded): what a block's first map adds at that time."""
    maps = (weights.enter, weights.opening, weights.first, weights.second, weights.leave)
    over_rows(network_rows, sum(part.size for part in maps), out, x, weights, times)
