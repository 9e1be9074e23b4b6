"""`shapecluster sagemaker rehearse`, `fit`, `attach` and `stop`: from prices to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shapecluster._text import listing
from shapecluster.cli import _kinds as kinds
from shapecluster.cli._common import (
    FAILED,
    CommandError,
    console_messages,
    print_files,
    print_line,
    print_result,
    write_table,
)
from shapecluster.cli._location import Location, bucket, folder, prefix
from shapecluster.cli._options import SeriesOptions, one_k, option, options, seed
from shapecluster.exceptions import JobRunningError
from shapecluster.report._terminal import make_console, print_table
from shapecluster.report._text import format_count, format_number, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster.remote import Job, JobProgress
    from shapecluster.sagemaker import SageMakerKShape

_SHOWN_TICKERS = 10  # of a cluster
_OnInterrupt = Literal["stop", "detach"]


@options
class LabelOptions(Location):
    """The options of a command that writes labels."""

    hourly_rate: float | None = option(
        None, "Hourly price of the instance, for the cost.", "Job", kinds.number(float, 0, metavar="PRICE")
    )
    out: Path = option(
        Path("labels.csv"), "File for the labels: ticker, cluster, shift, sbd.", "Output", kinds.output()
    )


@options
class TrainingOptions(SeriesOptions, LabelOptions):
    """The options of both `rehearse` and `fit`."""

    k: int = one_k()
    seed: int | None = seed(None, help="Seed of all random numbers (0 if left out; none with an ARN).")
    algorithm_arn: str | None = option(
        None,
        "K-Shape algorithm of the Marketplace, instead of an image; without --max-shift it tries all lags.",
        "Job",
        kinds.ARN,
    )
    image: str | None = None
    role: str | None = None
    max_run: int = option(
        3600,
        "Maximum run time of the job, which bounds its cost.",
        "Job",
        kinds.number(int, 1, metavar="SECONDS"),
        argument="max_run_seconds",
    )
    on_interrupt: _OnInterrupt = option(
        "stop", "Effect of Ctrl-C; after stop, a second Ctrl-C detaches.", "Job"
    )
    no_wait: bool = option(False, "End when the job is created; attach collects its result.", "Job")

    def job(self) -> Job:
        """Return the settings of the job; a ValueError names an invalid field."""
        from shapecluster.remote import Job

        return Job(max_run_seconds=self.max_run, on_interrupt=self.on_interrupt)


@options
class RehearseOptions(TrainingOptions):
    """The options of `rehearse`, which needs nothing of AWS."""

    folder: Path | None = folder(Path("shapecluster-rehearsal"))
    region: str | None = None
    profile: str | None = None
    hourly_rate: float | None = None


@options
class FitOptions(TrainingOptions):
    """The options of `fit`, which runs on AWS."""

    folder: Path | None = None
    image: str | None = option(
        None, "Image of the shapecluster container.", "Job", kinds.Kind("URI", str), argument="image_uri"
    )
    role: str | None = option(None, "Execution role; $SAGEMAKER_ROLE if left out.", "Job", kinds.ARN)
    bucket: str | None = bucket()
    create_bucket: bool = option(False, "Create the bucket if there is none.", "Job")
    prefix: str = prefix()
    instance_type: str = option("ml.m5.xlarge", "Instance type.", "Job", kinds.Kind("TYPE", str))
    spot: bool = option(False, "Use spot instances: cheaper, but they can be interrupted.", "Job")

    def job(self) -> Job:
        """Return the settings of the job; a ValueError names an invalid field."""
        return replace(
            super().job(),
            bucket=self.bucket,
            create_bucket=self.create_bucket,
            prefix=self.prefix,
            instance_type=self.instance_type,
            spot=self.spot,
        )


@options
class JobOptions(Location):
    """The options of `stop`."""

    job_name: str = option(
        MISSING, "Name of the training job.", "Job", kinds.Kind("JOB", str), positional=True
    )


@options
class AttachOptions(JobOptions, LabelOptions):
    """The options of `attach`."""

    timeout: float | None = option(None, "Time to wait; 0 checks once.", "Output", kinds.SECONDS)


def rehearse(options: RehearseOptions) -> None:
    """Run the job on this machine: the same program, files, states and errors, without AWS.

    Without --prices it runs on a simulated market.
    """
    _train(options)


def fit(options: FitOptions) -> None:
    """Run a training job on AWS, wait for it, and write the label of each stock.

    AWS bills the job. The prices are uploaded to your bucket and stay there.
    """
    _train(options)


def attach(options: AttachOptions) -> None:
    """Attach to a job that was started earlier, here or elsewhere, and write its labels.

    After Ctrl-C the job keeps running.
    """
    from shapecluster.sagemaker import SageMakerKShape

    with console_messages() as console:
        try:
            with job_progress(console) as progress:
                model = SageMakerKShape.attach(options.job_name, options.session(), progress=progress)
                model.result(options.timeout)
        except JobRunningError:
            again = options.command("attach", options.job_name)
            text = f"The training job {options.job_name!r} is still running: `{again}` waits for it."
            raise CommandError(text, FAILED) from None
        _write_result(model, options)


def stop(options: JobOptions) -> None:
    """Stop a job. It is no longer billed, and has no result."""
    from shapecluster.remote._client import stop_training_job

    with console_messages():
        status = stop_training_job(options.session(), options.job_name)
    end = "was asked to stop." if status is None else f"has already ended: {status}."
    print_result(f"The training job {options.job_name} {end}")


def _train(options: TrainingOptions) -> None:
    """Run `rehearse` or `fit`."""
    with console_messages() as console:
        model = _make_estimator(options)  # invalid settings end the command here
        series = _load_series(options, model, console)
        with job_progress(console) as progress:
            model.set_params(progress=progress).fit(series)
        if not options.no_wait:
            _write_result(model, options)
            return
        name = model.training_job_name_
        print_result(
            f"The training job {name} was created and is running.",
            f"Collect it with: {options.command('attach', name)}",
            f"End it with: {options.command('stop', name)}",
        )


# ----------------------------------------------------------------------------------- from prices to a job


def _make_estimator(options: TrainingOptions) -> SageMakerKShape:
    """Return the estimator with its job.

    An algorithm of the Marketplace need not have all parameters of the estimator. With an ARN, parameters
    that were not typed keep the estimator's defaults, which are not sent.
    """
    from shapecluster.sagemaker import SageMakerKShape

    job, session = options.job(), options.session()
    max_shift, seed = options.shift_bound, options.seed
    if options.algorithm_arn is None:
        seed = seed or 0
        if options.folder is None and options.image is None:
            raise ValueError("--algorithm-arn or --image must name the program to run on AWS. Got neither.")
    elif options.max_shift is None:
        max_shift = None
    return SageMakerKShape(
        options.k,
        algorithm_arn=options.algorithm_arn,
        image_uri=options.image,
        role=options.role,
        session=session,
        job=job,
        wait=not options.no_wait,
        max_shift=max_shift,
        random_state=seed,
    )


def _load_series(options: TrainingOptions, model: SageMakerKShape, console: Console) -> pd.DataFrame:
    """Load and clean the prices, print the cleaning, and set `missing` of the estimator."""
    from shapecluster.report._inputs import clean, make_series, read_inputs

    if options.prices is None and options.folder is None:
        raise ValueError("--prices must name a file with prices. Got none.")
    raw_prices, source = read_inputs(options.prices, seed=options.seed or 0)
    # The input format of a Marketplace algorithm has no missing values.
    incomplete: Literal["keep", "drop"] = "keep" if options.algorithm_arn is None else "drop"
    prices, report = clean(raw_prices, incomplete=incomplete, repair_prints=options.repair_prints)
    if options.k > len(prices):
        raise ValueError(f"--k must be at most the {len(prices)} stocks. Got {options.k} instead.")
    print_line(console, f"{source.description}.")
    for line in (*source.notes, *report.summary().splitlines()):
        print_line(console, line)
    if options.algorithm_arn is not None and options.max_shift is None and options.on == "log-returns":
        print_line(console, "All shifts are tried. Give --max-shift if the algorithm has this parameter.")
    if options.on == "levels":
        print_line(
            console, "Price levels are compared: two trending prices look alike whatever the companies do."
        )
    series, missing = make_series(prices, options.on)
    model.set_params(missing=missing)
    return series


# ---------------------------------------------------------------------------------- from a job to labels


def _write_result(model: SageMakerKShape, options: LabelOptions) -> None:
    """Write the labels atomically, and print a summary."""
    name, members, frame = model.training_job_name_, model.members(), model.labels_frame()
    try:
        write_table(frame, options.out, index=True)
    except OSError as error:
        reason = f"The labels cannot be written to {str(options.out)!r}: {error.strerror}."
        # The job is billed: its result must not be lost with the file.
        again = f"`{options.command('attach', name)} --out FILE`"
        raise CommandError(f"{reason} Collect them again: {again}.", FAILED) from None
    billed, rate = model.billable_seconds_, options.hourly_rate
    text = f"The training job {name} completed"
    text += "." if billed is None else f"; billed time: {format_count(billed, 'second')}."
    cost = None if rate is None else model.estimated_cost(rate)
    if cost is not None:
        text += f" At {rate:g} an hour that is about {cost:.4f}."
    sizes = f"{format_count(len(frame), 'stock')} in {format_count(len(members), 'cluster')}"
    print_result(text, f"{sizes}, SSD {format_number(model.inertia_, 4)}.")
    columns = {"cluster": "right", "stocks": "right", "mean SBD": "right"}
    columns["members, the nearest to the center first"] = "wrap"
    rows = []
    for cluster, names in members.items():
        mean = format_number(frame.loc[frame["cluster"] == cluster, "sbd"].mean())
        rows.append((cluster, len(names), mean, listing(names, limit=_SHOWN_TICKERS)))
    print_table(make_console(), columns, rows)
    print_files({"Labels": options.out})


# ------------------------------------------------------------------------------------------- while it runs


@contextmanager
def job_progress(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    """Show the state of a job: one changing line in a terminal, otherwise a line for each state.

    Yields
    ------
    callable
        For the parameter `progress` of an estimator.
    """
    if not console.is_terminal:
        states: list[str] = []

        def print_state(progress: JobProgress) -> None:
            # Called for new lines of the log as well: a state is printed once.
            if progress.secondary_status not in states[-1:]:
                states.append(progress.secondary_status)
                print_line(console, f"{progress.job_name}: {progress.secondary_status}")

        yield print_state
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:

        def update(progress: JobProgress) -> None:
            if not bar.task_ids:
                print_line(console, f"Training job {progress.job_name}")
                bar.add_task("", total=None)
            last_line = f"  {progress.lines[-1]}" if progress.lines else ""
            # The width that other columns leave: a second line would flicker.
            width = max(20, console.width - 24)
            description = printable(progress.secondary_status + last_line)[:width]
            bar.update(bar.task_ids[0], description=description)

        yield update
