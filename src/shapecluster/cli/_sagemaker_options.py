"""The commands `shapecluster sagemaker ...` and their options, as typer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster.cli._common import command_group

if TYPE_CHECKING:
    import typer

_HELP = """Cluster stocks by shape in a SageMaker training job, or rehearse the job on this machine."""

_FOLDER = Path("shapecluster-rehearsal")
_OUT = Path("labels.csv")


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the application.

    Parameters
    ----------
    app : typer.Typer
        The application.
    """
    group = command_group(app, "sagemaker", _HELP)
    options = _question_options() | _job_options() | _location_options()
    group.command("rehearse")(_rehearse_command(options))
    group.command("fit")(_fit_command(options))
    group.command("attach")(_attach_command(options))
    group.command("stop")(_stop_command(options))
    group.command("list-leftovers")(_list_leftovers_command(options))
    group.command("clean-up")(_clean_up_command(options))


def _question_options() -> dict[str, Any]:
    """Return the options for prices and clustering, under the names of their parameters."""
    from typer import Option as option

    data, question = "Prices", "Question"
    return {
        "prices": option(
            None,
            metavar="FILE",
            help="Prices: csv, csv.gz or parquet, one day per line.",
            rich_help_panel=data,
        ),
        "repair_prints": option(
            False, "--repair-prints", help="Repair bad prints instead of flagging them.", rich_help_panel=data
        ),
        "k": option(8, "--k", "-k", min=1, help="Number of clusters.", rich_help_panel=question),
        "on": option(
            "log-returns",
            metavar="log-returns|levels",
            help="The series to compare: log returns, or (as in the lab) price levels.",
            rich_help_panel=question,
        ),
        "max_shift": option(
            None,
            metavar="DAYS|all",
            help="Maximum lag in trading days (if left out: 5; all on levels and with an ARN).",
            rich_help_panel=question,
        ),
        "seed": option(
            None,
            min=0,
            max=2**32 - 1,
            help="Seed of the clustering (0 if left out; not set with an ARN).",
            rich_help_panel=question,
        ),
    }


def _job_options() -> dict[str, Any]:
    """Return the options for the training job, under the names of their parameters."""
    from typer import Option as option

    job = "Job"
    return {
        "algorithm_arn": option(
            None,
            metavar="ARN",
            help="K-Shape algorithm of the Marketplace, instead of an image.",
            rich_help_panel=job,
        ),
        "image": option(
            None, metavar="URI", help="Image of the shapecluster container.", rich_help_panel=job
        ),
        "role": option(
            None, metavar="ARN", help="Execution role; $SAGEMAKER_ROLE if left out.", rich_help_panel=job
        ),
        "bucket": option(
            None,
            metavar="NAME",
            help="Bucket for data and model; sagemaker-REGION-ACCOUNT if left out.",
            rich_help_panel=job,
        ),
        "create_bucket": option(
            False, "--create-bucket", help="Create the bucket if there is none.", rich_help_panel=job
        ),
        "prefix": option("shapecluster", metavar="FOLDER", help="Folder in the bucket.", rich_help_panel=job),
        "instance_type": option("ml.m5.xlarge", metavar="TYPE", help="Instance type.", rich_help_panel=job),
        "max_run": option(
            3600,
            metavar="SECONDS",
            help="Maximum run time of the job, which bounds its cost.",
            rich_help_panel=job,
        ),
        "spot": option(
            False,
            "--spot",
            help="Use spot instances: cheaper, but they can be interrupted.",
            rich_help_panel=job,
        ),
        "on_interrupt": option(
            "stop",
            metavar="stop|detach",
            help="Effect of Ctrl-C on the job; after stop, a second Ctrl-C detaches.",
            rich_help_panel=job,
        ),
        "no_wait": option(
            False,
            "--no-wait",
            help="End when the job is created; attach collects its result.",
            rich_help_panel=job,
        ),
        "hourly_rate": option(
            None,
            min=0.0,
            metavar="PRICE",
            help="Price of the instance per hour, to estimate the cost.",
            rich_help_panel=job,
        ),
    }


def _location_options() -> dict[str, Any]:
    """Return the options for places and files, under the names of their parameters."""
    import typer

    option, place, rest = typer.Option, "Where", "Output"
    return {
        "folder": option(
            None, metavar="DIR", help="Folder of a rehearsal; AWS if left out.", rich_help_panel=place
        ),
        "new_folder": option(
            _FOLDER,
            "--folder",
            metavar="DIR",
            help="Folder for the files of the rehearsal.",
            rich_help_panel=place,
        ),
        "region": option(
            None, metavar="NAME", help="Region; the environment's if left out.", rich_help_panel=place
        ),
        "profile": option(
            None,
            metavar="NAME",
            help="Profile of ~/.aws; the environment's if left out.",
            rich_help_panel=place,
        ),
        "out": option(
            _OUT,
            metavar="FILE",
            help="File for the labels: ticker, cluster, shift, sbd.",
            rich_help_panel=rest,
        ),
        "timeout": option(
            None, min=0.0, metavar="SECONDS", help="Time to wait; 0 checks once.", rich_help_panel=rest
        ),
        "min_age": option(
            3600.0,
            min=0.0,
            metavar="SECONDS",
            help="Minimum age of staged data: a job may still need younger data.",
            rich_help_panel=rest,
        ),
        "yes": option(
            False, "--yes", help="Delete. Without it the command only lists.", rich_help_panel=rest
        ),
        "job_name": typer.Argument(metavar="JOB", help="Name of the training job.", show_default=False),
    }


def _rehearse_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `rehearse`."""

    def rehearse(
        prices: Path | None = options["prices"],
        repair_prints: bool = options["repair_prints"],
        k: int = options["k"],
        on: str = options["on"],
        max_shift: str | None = options["max_shift"],
        seed: int | None = options["seed"],
        algorithm_arn: str | None = options["algorithm_arn"],
        max_run: int = options["max_run"],
        on_interrupt: str = options["on_interrupt"],
        no_wait: bool = options["no_wait"],
        folder: Path = options["new_folder"],
        out: Path = options["out"],
    ) -> None:
        """Run the job on this machine: the same program, files, states and errors, without AWS.

        Without --prices it runs on a simulated market.
        """
        given = dict(locals())  # first of all: later it would have more than the options
        from shapecluster.cli._jobs import TrainingRequest, fit

        fit(TrainingRequest(**given))

    return rehearse


def _fit_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `fit`."""

    def fit(
        prices: Path = options["prices"],
        repair_prints: bool = options["repair_prints"],
        k: int = options["k"],
        on: str = options["on"],
        max_shift: str | None = options["max_shift"],
        seed: int | None = options["seed"],
        algorithm_arn: str | None = options["algorithm_arn"],
        image: str | None = options["image"],
        role: str | None = options["role"],
        bucket: str | None = options["bucket"],
        create_bucket: bool = options["create_bucket"],
        prefix: str = options["prefix"],
        instance_type: str = options["instance_type"],
        max_run: int = options["max_run"],
        spot: bool = options["spot"],
        on_interrupt: str = options["on_interrupt"],
        no_wait: bool = options["no_wait"],
        hourly_rate: float | None = options["hourly_rate"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        out: Path = options["out"],
    ) -> None:
        """Run a training job on AWS, wait for it, and write the label of each stock.

        AWS bills the job. The prices are uploaded to your bucket and stay there.
        """
        given = dict(locals())  # first of all: later it would have more than the options
        from shapecluster.cli._jobs import TrainingRequest, fit

        fit(TrainingRequest(**given))

    return fit


def _attach_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `attach`."""

    def attach(
        job_name: str = options["job_name"],
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        timeout: float | None = options["timeout"],
        hourly_rate: float | None = options["hourly_rate"],
        out: Path = options["out"],
    ) -> None:
        """Attach to a job that was started earlier, here or elsewhere, and write its labels.

        After Ctrl-C the job keeps running.
        """
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._jobs import attach

        attach(job_name, JobLocation(folder, region, profile), out, timeout=timeout, hourly_rate=hourly_rate)

    return attach


def _stop_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `stop`."""

    def stop(
        job_name: str = options["job_name"],
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
    ) -> None:
        """Stop a job. It is no longer billed, and has no result."""
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._jobs import stop

        stop(job_name, JobLocation(folder, region, profile))

    return stop


def _list_leftovers_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `list-leftovers`."""

    def list_leftovers(
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        bucket: str | None = options["bucket"],
        prefix: str = options["prefix"],
        min_age: float = options["min_age"],
    ) -> None:
        """List endpoints, models and staged data that jobs left behind, and that may cost money."""
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._leftovers import list_leftovers

        list_leftovers(JobLocation(folder, region, profile), bucket, prefix, min_age)

    return list_leftovers


def _clean_up_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `clean-up`."""

    def clean_up(
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        bucket: str | None = options["bucket"],
        prefix: str = options["prefix"],
        min_age: float = options["min_age"],
        yes: bool = options["yes"],
    ) -> None:
        """List what jobs left behind, and delete it with --yes.

        Keeps data that a job reads whose result was not collected, and all model.tar.gz.
        """
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._leftovers import clean_up

        clean_up(JobLocation(folder, region, profile), bucket, prefix, min_age, yes=yes)

    return clean_up
