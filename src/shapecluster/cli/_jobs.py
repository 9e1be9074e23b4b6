"""What `shapecluster sagemaker rehearse`, `fit`, `attach` and `stop` do: from prices to labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from shapecluster.cli._common import (
    FAILED,
    CommandError,
    JobLocation,
    check_target,
    errors,
    say,
    told,
    watched,
    write_table,
)
from shapecluster.exceptions import JobRunningError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster import SageMakerKShape
    from shapecluster.remote import Job

_SHOWN = 10  # tickers of a cluster


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """The options of `rehearse` and `fit`, as they were typed; a rehearsal has fewer of them."""

    prices: Path | None
    repair_prints: bool
    k: int
    on: str
    max_shift: str | None
    seed: int | None
    algorithm_arn: str | None
    max_run: int
    on_interrupt: str
    no_wait: bool
    out: Path
    folder: Path | None = None
    image: str | None = None
    role: str | None = None
    bucket: str | None = None
    create_bucket: bool = False
    prefix: str = "shapecluster"
    instance_type: str = "ml.m5.xlarge"
    spot: bool = False
    hourly_rate: float | None = None
    region: str | None = None
    profile: str | None = None

    def place(self) -> JobLocation:
        """Where the job is to run."""
        return JobLocation(self.folder, self.region, self.profile)

    def job(self) -> Job:
        """Its settings; a ValueError names the field that makes no sense."""
        from shapecluster.remote import Job

        return Job(
            bucket=self.bucket,
            create_bucket=self.create_bucket,
            prefix=self.prefix,
            instance_type=self.instance_type,
            max_run_seconds=self.max_run,
            spot=self.spot,
            on_interrupt=cast("Literal['stop', 'detach']", self.on_interrupt),
        )


def fit(request: TrainingRequest) -> None:
    """Run `shapecluster sagemaker rehearse` or `fit`."""
    from shapecluster.report._terminal import make_console

    place = request.place()
    with errors(place), told() as console:
        check_target(request.out, "--out")
        job, session = request.job(), place.session()
        model = _estimator(request).set_params(job=job, session=session)
        series = _series(request, model, console)
        with watched(console) as progress:
            model.set_params(progress=progress).fit(series)
        if not request.no_wait:
            _finish(model, place, request.out, request.hourly_rate)
            return
        name = model.training_job_name_
        say(make_console(), f"The training job {name} was created, and runs.")
        say(make_console(), f"Collect it with: {place.command('attach', name)}")
        say(make_console(), f"End it with: {place.command('stop', name)}")


def attach(
    job_name: str, place: JobLocation, out: Path, *, timeout: float | None, hourly_rate: float | None
) -> None:
    """Run `shapecluster sagemaker attach`."""
    from shapecluster import SageMakerKShape

    with errors(place), told() as console:
        check_target(out, "--out")
        try:
            with watched(console) as progress:
                model = SageMakerKShape.attach(job_name, place.session(), progress=progress)
                model.result(timeout)
        except JobRunningError:
            again = place.command("attach", job_name)
            text = f"The training job {job_name!r} is not over yet, and runs on: `{again}` waits for it."
        else:
            _finish(model, place, out, hourly_rate)
            return
    raise CommandError(text, FAILED)


def stop(job_name: str, place: JobLocation) -> None:
    """Run `shapecluster sagemaker stop`."""
    from shapecluster.remote._client import stop_training_job
    from shapecluster.report._terminal import make_console

    with errors(place), told():
        status = stop_training_job(place.session(), job_name)
        if status is not None:
            say(make_console(), f"The training job {job_name} was over: {status}.")
            return
    say(make_console(), f"The training job {job_name} was asked to stop.")


# ----------------------------------------------------------------------------------- from prices to a job


def _estimator(request: TrainingRequest) -> SageMakerKShape:
    """The estimator without its job; where an ARN is given, what it does not take stays at its default."""
    from shapecluster import SageMakerKShape
    from shapecluster.report._request import read_max_shift

    if request.on not in ("log-returns", "levels"):
        raise ValueError(f"--on must be log-returns or levels. Got {request.on!r} instead.")
    max_shift, seed = read_max_shift(request.max_shift, request.on), request.seed
    if request.algorithm_arn is None:
        seed = 0 if seed is None else seed
        if request.folder is None and request.image is None:
            raise ValueError("--algorithm-arn or --image must say what runs on AWS. Got neither.")
    elif request.max_shift is None:
        max_shift = None
    return SageMakerKShape(
        request.k,
        algorithm_arn=request.algorithm_arn,
        image_uri=request.image,
        role=request.role,
        wait=not request.no_wait,
        max_shift=max_shift,
        random_state=seed,
    )


def _series(request: TrainingRequest, model: SageMakerKShape, console: Console) -> pd.DataFrame:
    """Read and clean the prices, say what was done to them, and tell the estimator of missing values."""
    from shapecluster.preprocessing import LogReturns
    from shapecluster.prices import clean_prices
    from shapecluster.report._inputs import from_file, from_simulation

    if request.prices is not None:
        inputs = from_file(request.prices, None)
    elif request.folder is not None:
        inputs = from_simulation(request.seed or 0)
    else:
        raise ValueError("--prices must name a file with prices. Got none.")
    # An algorithm of the Marketplace takes complete series only.
    kept: Literal["keep", "drop"] = "keep" if request.algorithm_arn is None else "drop"
    prices, report = clean_prices(
        inputs.prices,
        late_listings=kept,
        long_gaps=kept,
        bad_prints="repair" if request.repair_prints else "flag",
    )
    say(console, f"{inputs.source.description}.")
    for line in (*inputs.source.notes, *report.summary().splitlines()):
        say(console, line)
    if request.algorithm_arn is not None and request.max_shift is None and request.on == "log-returns":
        say(console, "All shifts are tried: name --max-shift if the algorithm has it.")
    missing: Literal["mask", "error"] = "mask" if bool(prices.isna().to_numpy().any()) else "error"
    model.set_params(missing=missing)
    if request.on == "levels":
        say(console, "Price levels are compared: two trending prices look alike whatever the companies do.")
        return prices
    returns: pd.DataFrame = LogReturns(missing=missing).fit_transform(prices)
    return returns


# ---------------------------------------------------------------------------------- from a job to labels


def _finish(model: SageMakerKShape, place: JobLocation, out: Path, hourly_rate: float | None) -> None:
    """Write the labels, all of them or none, and print what came out."""
    try:
        write_table(model.labels_frame(), out, index=True)
    except OSError as error:
        again = place.command("attach", model.training_job_name_)
        why = f"The labels cannot be written to {str(out)!r}: {error.strerror}."
        raise CommandError(f"{why} The job is done: `{again} --out FILE`.", FAILED) from None
    _print_result(model, out, hourly_rate)


def _print_result(model: SageMakerKShape, out: Path, hourly_rate: float | None) -> None:
    from shapecluster.report import _words as words
    from shapecluster.report._terminal import make_console, make_table

    console = make_console()
    billed = model.billable_seconds_
    text = f"The training job {model.training_job_name_} completed"
    text += "." if billed is None else f"; {words.count(billed, 'second')} to be billed."
    cost = None if hourly_rate is None else model.estimated_cost(hourly_rate)
    if cost is not None:
        text += f" At {hourly_rate:g} an hour that is about {cost:.4f}."
    say(console, text)
    members, frame = model.members(), model.labels_frame()
    say(
        console,
        f"{words.count(len(frame), 'stock')} in {words.count(len(members), 'cluster')}, "
        f"SSD {words.number(model.inertia_, 4)}.",
    )
    columns = {"cluster": "right", "stocks": "right", "mean SBD": "right"}
    table = make_table(columns | {"members, the nearest to the centroid first": "wrap"})
    for cluster, names in members.items():
        mean = frame.loc[frame["cluster"] == cluster, "sbd"].mean()
        more = len(names) - _SHOWN
        shown = ", ".join(map(str, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
        cells = (str(cluster), str(len(names)), words.number(float(mean)), shown)
        table.add_row(*(words.printable(cell) for cell in cells))
    console.print(table)
    say(console, f"Labels: {out}")
