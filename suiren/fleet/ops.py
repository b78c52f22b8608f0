"""The calls that the parts of a transformer are made of, with their backward calls."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.fleet.part import Comm, Part, Task
from suiren.trace.call import Call, Tensor, Value

FP8, FP4 = "f8e4m3", "f4e2m1"
#: Formats that only products take; what goes into them is cast.
NARROW = (FP8, FP4)


@dataclass(frozen=True, slots=True)
class Ops:
    """Calls in one format. Matrices are [rows, columns]; sizes are those of one rank."""

    dtype: str
    """Format of activations and weights."""
    product: str
    """Format in which products are computed: `dtype`, `tf32`, FP8 or FP4."""
    looks_first: bool = False
    """The largest magnitude is sought before a cast, as current scaling and NVFP4 do."""

    @property
    def is_narrow(self) -> bool:
        """Whether what products take is cast first."""
        return self.product in NARROW

    @property
    def taken(self) -> str:
        """Format of a product's operands in memory."""
        return self.product if self.is_narrow else self.dtype

    @property
    def item_bytes(self) -> int:
        """Bytes of an activation."""
        return Tensor(self.dtype, ()).itemsize_bytes

    def tensor(self, *shape: int) -> Tensor:
        """A tensor of activations or weights."""
        return Tensor(self.dtype, shape)

    def size(self, *shape: int) -> float:
        """Bytes of such a tensor."""
        return float(self.tensor(*shape).bytes)

    def input_bytes(self, rows: int, k: int) -> float:
        """Bytes that a product keeps of its input, in the format in which it multiplies."""
        return self.size(rows, k) / {FP8: 2, FP4: 4}.get(self.product, 1)

    def mm(self, m: int, k: int, n: int, turn: str = "", bias: bool = False) -> Call:
        """[m, k] x [k, n]; `turn` names operands (`a`, `b`) that lie in memory the other way."""
        dtype = self.taken
        a = Tensor(dtype, (m, k), (1, m) if "a" in turn else None)
        b = Tensor(dtype, (k, n), (1, k) if "b" in turn else None)
        arguments: dict[str, Value] = {"self": self.tensor(n)} if bias else {}
        arguments |= {"mat1": a, "mat2": b} if bias else {"self": a, "mat2": b}
        if self.product == "tf32":
            arguments["math"] = True
        return Call("aten::addmm" if bias else "aten::mm", arguments, (self.tensor(m, n),))

    def bmm(self, batch: int, m: int, k: int, n: int, turn: str = "") -> Call:
        """`batch` products of [m, k] x [k, n]."""
        a = Tensor(self.dtype, (batch, m, k), (m * k, 1, m) if "a" in turn else None)
        b = Tensor(self.dtype, (batch, k, n), (k * n, 1, k) if "b" in turn else None)
        arguments: dict[str, Value] = {"self": a, "mat2": b}
        if self.product == "tf32":
            arguments["math"] = True
        return Call("aten::bmm", arguments, (self.tensor(batch, m, n),))

    def call(self, name: str, *inputs: Tensor, out: tuple[Tensor, ...]) -> Call:
        """An op that streams its inputs and writes its results."""
        arguments: dict[str, Value] = {f"a{n}" if n else "self": t for n, t in enumerate(inputs)}
        return Call(name, arguments, out)

    def linear(
        self, rows: int, k: int, n: int, bias: bool = False, reduce_bias: bool = False,
        saved: str = "", beside: tuple[Task, ...] = (), accumulate: str = "add", rank: int = 0,
    ) -> Part:  # fmt: skip
        """A product with a weight [n, k]; `beside` runs while the weight's gradient is computed.

        `bias`: added by the product; `reduce_bias`: its gradient is a sum over the rows; `rank`:
        that of an adapter beside the weight.
        """
        forward: list[Task] = [self.mm(rows, k, n, "b", bias)]
        backward: list[Task] = [self.mm(rows, n, k), *beside]
        if accumulate != "frozen":
            backward.append(self.weight(rows, k, n, accumulate))
        if self.is_narrow:
            forward[:0] = self.quantised(rows, k)
            backward[:0] = self.quantised(rows, n)
        if accumulate in ("add", "fp32"):
            total = self.tensor(n, k) if accumulate == "add" else Tensor("f32", (n, k))
            backward.append(self.call("aten::add_", total, self.tensor(n, k), out=(total,)))
        if (bias or reduce_bias) and accumulate != "frozen":
            backward.append(self.call("aten::sum", self.tensor(rows, n), out=(self.tensor(n),)))
        if rank:
            there, back = self.adapter(rows, k, n, rank)
            forward, backward = [*forward, *there], [*back, *backward]
        kept = ((saved, self.input_bytes(rows, k)),) if saved else ()
        return Part(tuple(forward), tuple(backward), kept)

    def adapter(self, rows: int, k: int, n: int, rank: int) -> tuple[list[Task], list[Task]]:
        """What an adapter of a weight [n, k] issues forward and backward (Hu et al. 2021, eq. 3).

        x A B is added to the result, its gradient to the input's.
        """
        plain = Ops(self.dtype, self.dtype)
        wide, deep = plain.tensor(rows, n), plain.tensor(rows, k)
        forward: list[Task] = [plain.mm(rows, k, rank, "b"), plain.mm(rows, rank, n, "b"),
                               plain.call("aten::add_", wide, wide, out=(wide,))]  # fmt: skip
        backward: list[Task] = [plain.mm(n, rows, rank, "a"), plain.mm(rows, n, rank),
                                plain.mm(rank, rows, k, "a"), plain.mm(rows, rank, k),
                                plain.call("aten::add_", deep, deep, out=(deep,))]  # fmt: skip
        return forward, backward

    def weight(self, rows: int, k: int, n: int, accumulate: str) -> Call:
        """A weight's gradient; `fused`: added to a sum in FP32 by the product itself."""
        call = self.mm(n, rows, k, "a")
        if accumulate != "fused" or self.dtype == "f32":
            return call
        total = Tensor("f32", (n, k))
        operands = {"mat1": call.arguments["self"], "mat2": call.arguments["mat2"]}
        return Call("aten::addmm", {"self": total, **operands}, (total,))

    def quantised(self, rows: int, k: int) -> list[Task]:
        """A matrix in the products' format, once more the other way round for backward.

        Two of 4 bits take a byte.
        """
        whole = self.tensor(rows, k)
        small = Tensor(FP8, (rows, k) if self.product == FP8 else (rows, -(-k // 2)))
        cast = self.call("aten::clone", whole, out=(small, small))
        if not self.looks_first:
            return [cast]
        return [self.call("aten::amax", whole, out=(Tensor("f32", ()),)), cast]

    def norm(self, rows: int, width: int, rms: bool) -> Part:
        """A norm over rows."""
        x, weight, stats = self.tensor(rows, width), self.tensor(width), Tensor("f32", (rows, 1))
        name = "aten::_fused_rms_norm" if rms else "aten::native_layer_norm"
        forward = self.call(name, x, weight, out=(x, stats))
        backward = self.call(name + "_backward", x, x, weight, stats, out=(x, weight))
        return Part((forward,), (backward,), (("norm input", self.size(rows, width)),))

    def stream(
        self, name: str, *inputs: Tensor, out: tuple[Tensor, ...], back: tuple[Tensor, ...],
        grad: tuple[Tensor, ...], name_back: str = "", saved: tuple[tuple[str, float], ...] = (),
    ) -> Part:  # fmt: skip
        """An elementwise kernel and its backward kernel, which reads `back` and writes `grad`."""
        backward = self.call(name_back or name, *back, out=grad)
        return Part((self.call(name, *inputs, out=out),), (backward,), saved)

    def exchange(self, op: str, back: str, size_bytes: float, group: str) -> Part:
        """A collective forward and another backward; an empty name for none."""
        forward = (Comm(op, size_bytes, group),) if op else ()
        return Part(forward, (Comm(back, size_bytes, group),) if back else ())
