"""What a run would cost, stated before anything is sent."""

from dataclasses import dataclass

from veilkey.commercial.base import Service
from veilkey.errors import CallsSpent, UsageError


@dataclass(frozen=True)
class Cost:
    """One service's part: `calls` if none has to be retried, `usd` at list price, None where that is not known."""

    service: str
    title: str
    comparisons: int
    calls: int
    usd: float | None
    price_source: str

    @classmethod
    def of(cls, service: type[Service], comparisons: int) -> "Cost":
        calls = comparisons * service.calls_per_comparison
        usd = None if service.usd_per_call is None else calls * service.usd_per_call
        return cls(service.name, service.title, comparisons, calls, usd, service.price_source)

    def __str__(self) -> str:
        price = "at a price that is not known here" if self.usd is None else f"about {self.usd:,.3f} USD"
        what = f"{_count(self.comparisons, 'comparison')}, {_count(self.calls, 'call')}"
        return f"{self.service}: {what} to {self.title}, {price} ({self.price_source})"


@dataclass(frozen=True)
class Quote:
    """What a run costs, service by service. `str` of it is what a user is shown."""

    costs: tuple[Cost, ...]

    @property
    def calls(self) -> int:
        return sum(cost.calls for cost in self.costs)

    @property
    def usd(self) -> float | None:
        """USD of all services together; None where the price of one is not known."""
        known = [cost.usd for cost in self.costs if cost.usd is not None]
        return sum(known) if len(known) == len(self.costs) else None

    def __str__(self) -> str:
        lines = [str(cost) for cost in self.costs]
        if len(self.costs) > 1:
            total = "cost not known" if self.usd is None else f"about {self.usd:,.3f} USD"
            lines.append(f"together: {_count(self.calls, 'call')}, {total}")
        return "\n".join([*lines, "calls that have to be retried come on top; --max-calls bounds them all"])

    def permit(self, yes_send_photos: bool, max_calls: int | None) -> None:
        """Let the run go on only if the user agreed to send photos and allows enough calls.

        Raises:
            UsageError: --yes-send-photos was not given.
            CallsSpent: the run needs more calls than --max-calls allows.
        """
        if not yes_send_photos:
            receivers = " and ".join(cost.title for cost in self.costs)
            raise UsageError(f"nothing was sent: add --yes-send-photos to let {receivers} have the photos")
        if max_calls is not None and self.calls > max_calls:
            needed = f"this takes {_count(self.calls, 'call')} and --max-calls allows {max_calls}"
            raise CallsSpent(f"nothing was sent: {needed}: add --max-calls {self.calls} or more")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
