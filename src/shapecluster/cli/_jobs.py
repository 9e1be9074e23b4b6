"""The runs of `shapecluster sagemaker rehearse`, `fit`, `attach` and `stop`: from prices to labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from shapecluster._text import listing
from shapecluster.cli._common import (
    FAILED,
    CommandError,
    JobLocation,
    as_command_errors,
    check_writable,
    console_messages,
    job_progress,
    print_line,
    write_table,
)
from shapecluster.exceptions import JobRunningError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster.remote import Job
    from shapecluster.sagemaker import SageMakerKShape

_SHOWN_TICKERS = 10  # of a cluster


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """The options of `rehearse` and `fit`, as typed. Fields with defaults are options of one of the two."""

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

    def location(self) -> JobLocation:
        """Return the place where the job runs."""
        return JobLocation(self.folder, self.region, self.profile)

    def job(self) -> Job:
        """Return the settings of the job; a ValueError names an invalid field."""
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

    location = request.location()
    with as_command_errors(location), console_messages() as console:
        check_writable(request.out, "--out")
        job, session = request.job(), location.session()  # invalid settings end the command here
        model = _make_estimator(request).set_params(job=job, session=session)
        series = _load_series(request, model, console)
        with job_progress(console) as progress:
            model.set_params(progress=progress).fit(series)
        if not request.no_wait:
            _write_result(model, location, request.out, request.hourly_rate)
            return
        name = model.training_job_name_
        print_line(make_console(), f"The training job {name} was created and is running.")
        print_line(make_console(), f"Collect it with: {location.command('attach', name)}")
        print_line(make_console(), f"End it with: {location.command('stop', name)}")


def attach(
    job_name: str, location: JobLocation, out: Path, *, timeout: float | None, hourly_rate: float | None
) -> None:
    """Run `shapecluster sagemaker attach`."""
    from shapecluster.sagemaker import SageMakerKShape

    with as_command_errors(location), console_messages() as console:
        check_writable(out, "--out")
        try:
            with job_progress(console) as progress:
                model = SageMakerKShape.attach(job_name, location.session(), progress=progress)
                model.result(timeout)
        except JobRunningError:
            again = location.command("attach", job_name)
            text = f"The training job {job_name!r} is still running: `{again}` waits for it."
        else:
            _write_result(model, location, out, hourly_rate)
            return
    raise CommandError(text, FAILED)


def stop(job_name: str, location: JobLocation) -> None:
    """Run `shapecluster sagemaker stop`."""
    from shapecluster.remote._client import stop_training_job
    from shapecluster.report._terminal import make_console

    with as_command_errors(location), console_messages():
        status = stop_training_job(location.session(), job_name)
        if status is not None:
            print_line(make_console(), f"The training job {job_name} has already ended: {status}.")
            return
    print_line(make_console(), f"The training job {job_name} was asked to stop.")


# ----------------------------------------------------------------------------------- from prices to a job


def _make_estimator(request: TrainingRequest) -> SageMakerKShape:
    """Return the estimator without its job.

    An algorithm of the Marketplace need not have all parameters of the estimator. With an ARN, parameters
    that were not typed keep the estimator's defaults, which are not sent.
    """
    from shapecluster.report._request import parse_max_shift
    from shapecluster.sagemaker import SageMakerKShape

    if request.on not in ("log-returns", "levels"):
        raise ValueError(f"--on must be log-returns or levels. Got {request.on!r} instead.")
    max_shift, seed = parse_max_shift(request.max_shift, request.on), request.seed
    if request.algorithm_arn is None:
        seed = 0 if seed is None else seed
        if request.folder is None and request.image is None:
            raise ValueError("--algorithm-arn or --image must name the program to run on AWS. Got neither.")
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


def _load_series(request: TrainingRequest, model: SageMakerKShape, console: Console) -> pd.DataFrame:
    """Load and clean the prices, print the cleaning, and set `missing` of the estimator."""
    from shapecluster.preprocessing import LogReturns
    from shapecluster.prices import clean_prices
    from shapecluster.report._inputs import load_inputs, simulate_inputs

    if request.prices is not None:
        inputs = load_inputs(request.prices, None)
    elif request.folder is not None:
        inputs = simulate_inputs(request.seed or 0)
    else:
        raise ValueError("--prices must name a file with prices. Got none.")
    # The input format of a Marketplace algorithm has no missing values.
    incomplete: Literal["keep", "drop"] = "keep" if request.algorithm_arn is None else "drop"
    prices, report = clean_prices(
        inputs.prices,
        late_listings=incomplete,
        long_gaps=incomplete,
        bad_prints="repair" if request.repair_prints else "flag",
    )
    print_line(console, f"{inputs.source.description}.")
    for line in (*inputs.source.notes, *report.summary().splitlines()):
        print_line(console, line)
    if request.algorithm_arn is not None and request.max_shift is None and request.on == "log-returns":
        print_line(console, "All shifts are tried. Give --max-shift if the algorithm has this parameter.")
    missing: Literal["mask", "error"] = "mask" if bool(prices.isna().to_numpy().any()) else "error"
    model.set_params(missing=missing)
    if request.on == "levels":
        print_line(
            console, "Price levels are compared: two trending prices look alike whatever the companies do."
        )
        return prices
    returns: pd.DataFrame = LogReturns(missing=missing).fit_transform(prices)
    return returns


# ---------------------------------------------------------------------------------- from a job to labels


def _write_result(
    model: SageMakerKShape, location: JobLocation, out: Path, hourly_rate: float | None
) -> None:
    """Write the labels atomically, and print a summary."""
    try:
        write_table(model.labels_frame(), out, index=True)
    except OSError as error:
        again = location.command("attach", model.training_job_name_)
        reason = f"The labels cannot be written to {str(out)!r}: {error.strerror}."
        # The job is billed: its result must not be lost with the file.
        raise CommandError(f"{reason} Collect them again: `{again} --out FILE`.", FAILED) from None
    _print_result(model, out, hourly_rate)


def _print_result(model: SageMakerKShape, out: Path, hourly_rate: float | None) -> None:
    from shapecluster.report._terminal import make_console, make_table
    from shapecluster.report._text import format_count, format_number, printable

    console = make_console()
    billed = model.billable_seconds_
    text = f"The training job {model.training_job_name_} completed"
    text += "." if billed is None else f"; billed time: {format_count(billed, 'second')}."
    cost = None if hourly_rate is None else model.estimated_cost(hourly_rate)
    if cost is not None:
        text += f" At {hourly_rate:g} an hour that is about {cost:.4f}."
    print_line(console, text)
    members, frame = model.members(), model.labels_frame()
    print_line(
        console,
        f"{format_count(len(frame), 'stock')} in {format_count(len(members), 'cluster')}, "
        f"SSD {format_number(model.inertia_, 4)}.",
    )
    columns = {"cluster": "right", "stocks": "right", "mean SBD": "right"}
    table = make_table(columns | {"members, the nearest to the center first": "wrap"})
    for cluster, names in members.items():
        mean = frame.loc[frame["cluster"] == cluster, "sbd"].mean()
        shown = listing(names, limit=_SHOWN_TICKERS)
        cells = (str(cluster), str(len(names)), format_number(float(mean)), shown)
        table.add_row(*(printable(cell) for cell in cells))
    console.print(table)
    print_line(console, f"Labels: {out}")
