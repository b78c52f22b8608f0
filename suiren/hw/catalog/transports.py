"""What libraries make of each generation of links: start, hop and share of each message format.

Fitted on rows of split `fit` of the tables under `data/measured`, one set a generation; a
generation that nobody measured takes the nearest measured one's numbers, and says so. The wires'
own latency is the topology's; a hop here is what comes on top.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from suiren.hw.fact import Fact, assumed, fitted
from suiren.hw.transport import Protocol, Transport
from suiren.units import us

_AIC = "fit rows of kernel_aic_collectives (NCCL 2.23 to 2.29)"
_ALL = f"NVLink 3 to 5 alike: {_AIC} of A100, H100, GB200; kernel_vidur (DGX); 8 × A100"
#: Of the wire's rate, for NVLink 3 to 5 alike.
_LINK = fitted(0.735, f"headers and flow control; {_ALL}")
_LINK_128 = fitted(0.577, f"120 of 128 bytes, and the checks; {_ALL}")
_LAST = fitted(0.378, _ALL)
_LAST_LL = fitted(0.649, _ALL)
_SENT = "fit rows of kernel_vidur, send_recv in one box; NVLink 5: between the two others"
_LINK_ONE = fitted(0.88, _SENT)
_HIDDEN = assumed(0.0, "a wire slower than the copy hides it")


def _protocol(rows: str, base_us: float, hop_us: float, share: Fact, last: Fact) -> Protocol:
    return Protocol(
        base_s=fitted(base_us * us, f"start and end of a collective; {rows}"),
        hop_s=fitted(hop_us * us, f"a hop beyond the wires' latency; {rows}"),
        share=share,
        last=last,
    )


def _nvlink(
    name: str,
    card: str,
    ll: tuple[float, float, float],
    ll128: tuple[float, float],
    simple: tuple[float, float],
    pairs: tuple[float, float],
    message_us: float,
    in_switch: tuple[float, float] | None = None,
    hides_us: float | None = None,
) -> Transport:
    """Base and hop in µs; of `ll` and `in_switch` also the share of the wire."""
    rows = f"{_AIC} of {card}"
    flags = fitted(ll[2], f"a flag beside every word, so at most a half; {rows}")
    return Transport(
        name=name,
        ll=_protocol(rows, ll[0], ll[1], flags, _LAST_LL),
        ll128=_protocol(rows, *ll128, _LINK_128, _LAST),
        simple=_protocol(rows, *simple, _LINK, _LAST),
        pairs=_protocol(rows, *pairs, _LINK, _LAST),
        message=_protocol(_SENT, message_us, 0.0, _LINK_ONE, _HIDDEN),
        in_switch=in_switch and _protocol(
            rows, in_switch[0], 0.0, fitted(in_switch[1], f"sums in the switch; {rows}"), _HIDDEN
        ),
        hides_s=None if hides_us is None else fitted(hides_us * us, rows),
    )  # fmt: skip


def _carried(transport: Transport, name: str) -> Transport:
    return replace(transport, name=name, carried_from=transport.name)


def _as_of(transport: Transport, protocol: Protocol) -> Protocol:
    """Another generation's protocol, its numbers assumed here."""
    why = f"{transport.name}'s, for no row tells"
    return Protocol(
        base_s=assumed(float(protocol.base_s), f"{why}; {protocol.base_s.source}"),
        hop_s=assumed(float(protocol.hop_s), f"{why}; {protocol.hop_s.source}"),
        share=assumed(float(protocol.share), f"{why}; {protocol.share.source}"),
        last=assumed(float(protocol.last), f"{why}; {protocol.last.source}"),
    )


def _sums(transport: Transport) -> Protocol:
    return transport.protocol("in_switch")


NVLINK_3 = _nvlink("NVLink 3", "A100", (10.3, 0.64, 0.343), (16.1, 1.67), (20.7, 7.96), (14.9, 0.0),
                   13.5)  # fmt: skip
NVLINK_4 = _nvlink("NVLink 4", "H100", (5.5, 0.47, 0.418), (6.4, 0.45), (13.4, 6.16), (11.6, 0.0),
                   8.0, (44.0, 0.62), 7.5)  # fmt: skip
_NVLINK_5 = _nvlink("NVLink 5", "GB200", (8.5, 0.90, 0.429), (6.4, 0.45), (16.2, 8.16), (16.2, 0.0),
                    12.0, hides_us=13.6)  # fmt: skip
#: Sums in the switch need five cards, and the table has trays of four; NCCL keeps ll128 off here.
NVLINK_5 = replace(
    _NVLINK_5, ll128=_as_of(NVLINK_4, NVLINK_4.ll128), in_switch=_as_of(NVLINK_4, _sums(NVLINK_4)),
)

_L40S = f"{_AIC} of L40S, two cards"
_P2P_LL = fitted(0.35, _L40S)
PCIE_4 = Transport(
    name="PCIe 4.0",
    ll=_protocol(_L40S, 4.0, 0.75, _P2P_LL, _HIDDEN),
    ll128=_protocol(_L40S, 4.0, 0.75, _P2P_LL, _HIDDEN),
    simple=_protocol(_L40S, 15.0, 5.5, fitted(0.68, f"{_L40S}; kernel_vidur, pairs"), _HIDDEN),
    pairs=_protocol(_L40S, 14.0, 0.0, fitted(0.70, _L40S), _HIDDEN),
    message=_protocol(_L40S, 14.0, 0.0, fitted(0.70, _L40S), _HIDDEN),
)
_PAIRS5 = "fit rows of kernel_vidur: four H100 PCIe, bridged in pairs"
PCIE_5 = replace(
    PCIE_4, name="PCIe 5.0", carried_from="PCIe 4.0, but for the share of simple",
    simple=replace(PCIE_4.simple, share=fitted(0.76, _PAIRS5)),
    pairs=replace(PCIE_4.pairs, share=fitted(0.76, _PAIRS5)),
)
_SLOW = f"{_AIC} of L40S on four and eight cards"


def _slow(name: str, rows: str, ll: float, simple: float) -> Transport:
    """CPUs that pass messages between cards on slowly: shares of `ll` and `simple`.

    One flow of a ring gets less of such a link than the many flows of an all_to_all together.
    """
    flags = _protocol(rows, 3.5, 0.5, fitted(ll, rows), _HIDDEN)
    several = _protocol(rows, 14.0, 0.0, fitted(0.70, f"of the link's rate; {rows}"), _HIDDEN)
    return Transport(
        name=name, ll=flags, ll128=flags,
        simple=_protocol(rows, 15.0, 5.6, fitted(simple, rows), _HIDDEN),
        pairs=several, message=several,
    )  # fmt: skip


#: One server's links by name; engines' runs there differ from those of nccl-tests by a third.
_SLOW_LINKS: dict[str, Transport] = {
    "CPU link to slow peers": _slow("PCIe 4.0 to a CPU", f"{_SLOW}: nccl-tests, four", 0.44, 0.57),
    "CPU link between slow CPUs": _slow("between CPUs", f"{_SLOW}: nccl-tests, eight", 0.20, 0.34),
    "CPU link to slow peers, engines":
        _slow("PCIe 4.0 to a CPU, engines", f"{_SLOW}: engines, four", 0.44, 0.42),
    "CPU link between slow CPUs, engines":
        _slow("between CPUs, engines", f"{_SLOW}: engines, eight", 0.40, 0.48),
}  # fmt: skip
_B60 = "fit rows of kernel_aic_collectives (oneCCL 2021.17) of B60"
_XE = fitted(0.60, _B60)
ONECCL_PCIE = Transport(
    name="PCIe 5.0 under oneCCL",
    ll=_protocol(_B60, 12.0, 0.3, _XE, _HIDDEN),
    ll128=_protocol(_B60, 12.0, 0.3, _XE, _HIDDEN),
    simple=_protocol(_B60, 12.0, 0.3, _XE, _HIDDEN),
    pairs=_protocol(_B60, 12.0, 0.3, _XE, _HIDDEN),
    message=_protocol(_B60, 12.0, 0.3, _XE, _HIDDEN),
)
_BRIDGE = "fit rows of kernel_vidur: A100 and H100 PCIe, bridged in pairs, alike"
#: One bridge and no switch between two cards: more of the wire, and less of a hop.
NVLINK_BRIDGE = replace(
    NVLINK_3, name="NVLink bridge", hides_s=None,
    simple=_protocol(_BRIDGE, 9.0, 3.5, fitted(0.77, _BRIDGE), _LAST),
)
_UNDER_ONE = "fit rows of kernel_vidur: four A100 PCIe, bridged in pairs"
PCIE_4_PAIRS = replace(
    PCIE_4, name="PCIe 4.0 between bridged pairs",
    simple=replace(PCIE_4.simple, share=fitted(0.76, _UNDER_ONE)),
    pairs=replace(PCIE_4.pairs, share=fitted(0.76, _UNDER_ONE)),
)
_IB = "fit rows of kernel_collectives_gemm_misc: 4 nodes of 8 A100, four HDR NICs each"
INFINIBAND = Transport(
    name="InfiniBand",
    ll=_protocol(_IB, 10.3, 7.0, assumed(0.45, "a flag beside every word, as on links"), _HIDDEN),
    ll128=_protocol(_IB, 16.1, 9.0, assumed(0.89, "120 of 128 bytes of simple's"), _HIDDEN),
    simple=_protocol(_IB, 20.7, 12.0, fitted(0.95, _IB), _HIDDEN),
    pairs=_protocol(_IB, 14.9, 7.0, assumed(0.92, "as simple, less the flow control"), _HIDDEN),
    message=_protocol(_IB, 14.9, 7.0, assumed(0.92, "as simple, less the flow control"), _HIDDEN),
)
_OPA = "fit rows of kernel_deepbench: Knights Landing, 8 and 16 nodes"
#: Omni-Path under MLSL on Intel MPI: `ll` are short messages, `simple` those that shake hands first
#: (PSM2, `PSM2_MQ_RNDV_HFI_THRESH`: 64,000 bytes).
OMNI_PATH = replace(
    INFINIBAND, name="Omni-Path under MLSL",
    ll=_as_of(INFINIBAND, INFINIBAND.simple),
    simple=replace(
        _as_of(INFINIBAND, INFINIBAND.simple),
        hop_s=fitted(86 * us, f"a message that shakes hands first; {_OPA}"),
        share=assumed(1.0, "the NIC's fitted rate is that of the payload"),
    ),
)
_LIM = "limulidae, a public table of measured nodes: all-reduce on 2 and 8 cards of Atlas 800T A2"
_HCCS = fitted(0.643, f"18 and 72 GB/s of data, 18 and 126 GB/s on the links of 28 and 196; {_LIM}")
HCCS = replace(
    _carried(NVLINK_3, "HCCS"),
    simple=replace(NVLINK_3.simple, share=_HCCS, last=_HIDDEN),
    pairs=replace(NVLINK_3.pairs, share=_HCCS, last=_HIDDEN),
)
_BY_PREFIX: dict[str, Transport] = {
    "NVLink 1": _carried(NVLINK_3, "NVLink 1"),
    "NVLink 2": _carried(NVLINK_3, "NVLink 2"),
    "NVLink 3": NVLINK_3,
    "NVLink 3 bridge": NVLINK_BRIDGE,
    "NVLink 4": NVLINK_4,
    "NVLink 4 bridge": NVLINK_BRIDGE,
    "NVLink 5": NVLINK_5,
    "PCIe 3.0": _carried(PCIE_4, "PCIe 3.0"),
    "PCIe 4.0": PCIE_4,
    "PCIe 4.0 x16 of bridged pairs": PCIE_4_PAIRS,
    "PCIe 5.0": PCIE_5,
    "PCIe 6.0": _carried(PCIE_5, "PCIe 6.0"),
    "HCCS": HCCS,
    "CPU link": _carried(PCIE_4, "CPU link"),
    **_SLOW_LINKS,
    "PCIe to NIC": INFINIBAND,
    "NIC": INFINIBAND,
    "upper switches": INFINIBAND,
    # no library but NCCL was measured over links of cards: the NVLink of the same years
    "": _carried(NVLINK_3, "links of other vendors"),
}


@lru_cache(maxsize=256)
def transport_of(medium: str, library: str = "") -> Transport:
    """The transport of a library over wires of a medium, by the longest known beginning."""
    known = max((p for p in _BY_PREFIX if medium.startswith(p)), key=len)
    if library == "MLSL" and known in ("PCIe to NIC", "NIC", "upper switches"):
        return OMNI_PATH
    if library == "oneCCL" and known.startswith(("PCIe", "CPU")) and known != "PCIe to NIC":
        return ONECCL_PCIE
    return _BY_PREFIX[known]
