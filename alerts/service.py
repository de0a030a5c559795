"""The alerts process: the evaluator on the feed; beside it the look for who is silent, what the public is told as was
approved beforehand, outbox, calling on, the watch over the operation, letters, reports and tests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from alerts.channels import Channel, LogChannel, MailChannel
from alerts.channels_config import channel_of
from alerts.config import AlertsConfig
from alerts.digest import Weekly
from alerts.errors import RealChannelsOnSimulatedClock
from alerts.escalation import Escalation
from alerts.evaluator import Evaluator
from alerts.looking import look_again
from alerts.monthly import Monthly
from alerts.operation import Watch
from alerts.outbox import Dispatcher
from alerts.public.standing_publish import Standing
from alerts.report_letters import Reports
from alerts.roster import announce
from alerts.shards import NAME, Shard, deal
from store import connect
from store.feed import Consumer
from store.town_clock import load_clock

# A mail that is under way when the process ends may finish; else its row stays and goes out after the next start.
_LAST_MAIL_SECONDS = 5.0
# A level that was reached waits no longer than this for the evaluator, whatever looking less often would save.
LONGEST_REST = 0.2


def run(config: AlertsConfig, stop: threading.Event) -> None:
    """Evaluates and notifies until `stop` is set.

    Raises `RealChannelsOnSimulatedClock` before anything is sent when a town on a simulated clock has a mail
    server or another channel.
    Each has a thread and a connection of its own: neither a slow mail server nor the look at thousands of devices that
    may be silent must hold up a river's level, and an evaluator that is held up must be seen. Should one fail, it sets
    `stop` and its error is raised here: a town that does not notify must not look alive.
    """
    with connect(config.dsn, name=NAME) as conn:
        clock = load_clock(conn)
    if clock.simulated and (config.mail is not None or config.channels):
        raise RealChannelsOnSimulatedClock(
            "this town runs on a simulated clock and must not write to real people: "
            "remove the mail server and the channels from its settings, or use a database of its own for the simulation"
        )
    channels: list[Channel] = [LogChannel()]
    if config.mail is not None:
        channels.append(MailChannel(config.mail))
    channels += [channel_of(name, each) for name, each in config.channels.items()]
    with connect(config.dsn, name=NAME) as conn:
        announce(conn, channels)
        conn.commit()
        first, *others = deal(conn, config.evaluators)

    failures: list[Exception] = []

    def beside(run: Callable[[str, threading.Event], None]) -> None:
        try:
            run(config.dsn, stop)
        except Exception as error:
            failures.append(error)
            stop.set()

    watch = Watch(clock, mail=config.mail is not None, folder=config.data_folder)
    weekly = Weekly(clock, mail=config.mail is not None)
    monthly = Monthly(clock, mail=config.mail is not None)
    reports = Reports(clock, mail=config.mail is not None)
    dispatcher = Dispatcher(channels, public_url=config.public_url)
    escalation = Escalation(clock, mail=config.mail is not None)
    standing = Standing(clock, mail=config.mail is not None, public_url=config.public_url)
    evaluator = Evaluator(clock, mail=config.mail is not None, shard=first)

    # Silence is a matter of minutes of town time: often enough on a fast clock, not too often on the real one.
    seconds = min(10.0, max(0.5, 60.0 / clock.speed))

    def listening(dsn: str, stop: threading.Event) -> None:
        look_again(dsn, stop, name="listening", look=evaluator.listen, seconds=seconds)

    def evaluating(shard: Shard) -> Callable[[str, threading.Event], None]:
        own = Evaluator(clock, mail=config.mail is not None, shard=shard)

        def run(dsn: str, stop: threading.Event) -> None:
            Consumer(dsn, shard.name, longest_rest=LONGEST_REST).run(
                own.handle, stop=stop, tick=own.release, tick_seconds=seconds
            )

        return run

    threads = [
        *(threading.Thread(target=beside, args=(evaluating(s),), name=s.name, daemon=True) for s in others),
        threading.Thread(target=beside, args=(listening,), name="listening", daemon=True),
        threading.Thread(target=beside, args=(standing.run,), name="standing", daemon=True),
        threading.Thread(target=beside, args=(escalation.run,), name="escalation", daemon=True),
        threading.Thread(target=beside, args=(dispatcher.run,), name="outbox", daemon=True),
        threading.Thread(target=beside, args=(watch.run,), name="operation", daemon=True),
        threading.Thread(target=beside, args=(weekly.run,), name="weekly", daemon=True),
        threading.Thread(target=beside, args=(monthly.run,), name="monthly", daemon=True),
        threading.Thread(target=beside, args=(reports.run,), name="reports", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        evaluating(first)(config.dsn, stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join(_LAST_MAIL_SECONDS)
    if failures:
        raise failures[0]
