"""The commands `shapecluster sagemaker ...` and their options, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shapecluster.cli._common import command_group

_HELP = (
    """Cluster stocks by shape in a SageMaker training job, or rehearse that in a folder of this machine."""
)

_FOLDER = Path("shapecluster-rehearsal")
_OUT = Path("labels.csv")


def add_commands(app: Any, typer: Any) -> None:
    """Add the commands to the application.

    Parameters
    ----------
    app : typer.Typer
        The application.
    typer : module
        The package itself, which is imported late.
    """
    group = command_group(app, typer, "sagemaker", _HELP)
    options = _options(typer)
    group.command("rehearse")(_rehearse_command(options))
    group.command("fit")(_fit_command(options))
    group.command("attach")(_attach_command(options))
    group.command("stop")(_stop_command(options))
    group.command("list-leftovers")(_list_leftovers_command(options))
    group.command("clean-up")(_clean_up_command(options))


def _options(typer: Any) -> dict[str, Any]:
    """Describe all options, under the names of their parameters."""
    return _question_options(typer.Option) | _job_options(typer.Option) | _place_options(typer)


def _question_options(option: Any) -> dict[str, Any]:
    data, question = "Prices", "Question"
    return {
        "prices": option(
            None, metavar="FILE", help="Prices: csv, csv.gz or parquet, a day a line.", rich_help_panel=data
        ),
        "repair_prints": option(
            False, "--repair-prints", help="Repair bad prints instead of flagging them.", rich_help_panel=data
        ),
        "k": option(8, "--k", "-k", min=1, help="Number of clusters.", rich_help_panel=question),
        "on": option(
            "log-returns",
            metavar="log-returns|levels",
            help="What is compared: how stocks move, or (the lab's recipe) their price levels.",
            rich_help_panel=question,
        ),
        "max_shift": option(
            None,
            metavar="DAYS|all",
            help="Largest lag in trading days (if left out: 5; all on levels and with an ARN).",
            rich_help_panel=question,
        ),
        "seed": option(
            None,
            min=0,
            max=2**32 - 1,
            help="Seeds the clustering (0 if left out; an ARN has none).",
            rich_help_panel=question,
        ),
    }


def _job_options(option: Any) -> dict[str, Any]:
    job = "Job"
    return {
        "algorithm_arn": option(
            None,
            metavar="ARN",
            help="K-Shape algorithm of the Marketplace, instead of an image.",
            rich_help_panel=job,
        ),
        "image": option(None, metavar="URI", help="Image of our container.", rich_help_panel=job),
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
        "prefix": option("shapecluster", metavar="FOLDER", help="Folder in it.", rich_help_panel=job),
        "instance_type": option("ml.m5.xlarge", metavar="TYPE", help="Kind of machine.", rich_help_panel=job),
        "max_run": option(
            3600,
            metavar="SECONDS",
            help="The job is stopped after this time: the bound on its bill.",
            rich_help_panel=job,
        ),
        "spot": option(
            False, "--spot", help="Use spare machines: cheaper, can be taken away.", rich_help_panel=job
        ),
        "on_interrupt": option(
            "stop",
            metavar="stop|detach",
            help="What Ctrl-C does to the job; after stop, a second Ctrl-C detaches.",
            rich_help_panel=job,
        ),
        "no_wait": option(
            False, "--no-wait", help="End when the job is created; attach collects it.", rich_help_panel=job
        ),
        "hourly_rate": option(
            None,
            min=0.0,
            metavar="PRICE",
            help="Price of such a machine for an hour, to estimate the cost.",
            rich_help_panel=job,
        ),
    }


def _place_options(typer: Any) -> dict[str, Any]:
    option, place, rest = typer.Option, "Where", "Output"
    return {
        "folder": option(
            None, metavar="DIR", help="Folder of a rehearsal; without it: AWS.", rich_help_panel=place
        ),
        "new_folder": option(
            _FOLDER, "--folder", metavar="DIR", help="Where the rehearsal's files go.", rich_help_panel=place
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
            help="Where the labels go: ticker, cluster, shift, sbd.",
            rich_help_panel=rest,
        ),
        "timeout": option(
            None, min=0.0, metavar="SECONDS", help="How long to wait; 0 looks once.", rich_help_panel=rest
        ),
        "min_age": option(
            3600.0,
            min=0.0,
            metavar="SECONDS",
            help="Younger data is passed over: somebody may be about to use it.",
            rich_help_panel=rest,
        ),
        "yes": option(False, "--yes", help="Delete; else the command lists.", rich_help_panel=rest),
        "job_name": typer.Argument(metavar="JOB", help="Name of the training job.", show_default=False),
    }


def _rehearse_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `rehearse` from."""

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
        """Run the job here: the same program, files, states and errors, without an account or a bill.

        Without --prices it runs on a simulated market.
        """
        given = dict(locals())
        from shapecluster.cli._jobs import TrainingRequest, fit

        fit(TrainingRequest(**given))

    return rehearse


def _fit_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `fit` from."""

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

        It is billed by AWS. The prices are stored in your bucket, where they stay.
        """
        given = dict(locals())
        from shapecluster.cli._jobs import TrainingRequest, fit

        fit(TrainingRequest(**given))

    return fit


def _attach_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `attach` from."""

    def attach(
        job_name: str = options["job_name"],
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        timeout: float | None = options["timeout"],
        hourly_rate: float | None = options["hourly_rate"],
        out: Path = options["out"],
    ) -> None:
        """Take up a job that was begun earlier, here or elsewhere, and write its labels.

        Ctrl-C lets the job run on.
        """
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._jobs import attach

        attach(job_name, JobLocation(folder, region, profile), out, timeout=timeout, hourly_rate=hourly_rate)

    return attach


def _stop_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `stop` from."""

    def stop(
        job_name: str = options["job_name"],
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
    ) -> None:
        """Ask a job to end. It is billed no longer, and has no result."""
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._jobs import stop

        stop(job_name, JobLocation(folder, region, profile))

    return stop


def _list_leftovers_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `list-leftovers` from."""

    def list_leftovers(
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        bucket: str | None = options["bucket"],
        prefix: str = options["prefix"],
        min_age: float = options["min_age"],
    ) -> None:
        """List endpoints, models and staged data of ours that are still there, and may cost money."""
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._leftovers import list_leftovers

        list_leftovers(JobLocation(folder, region, profile), bucket, prefix, min_age)

    return list_leftovers


def _clean_up_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `clean-up` from."""

    def clean_up(
        folder: Path | None = options["folder"],
        region: str | None = options["region"],
        profile: str | None = options["profile"],
        bucket: str | None = options["bucket"],
        prefix: str = options["prefix"],
        min_age: float = options["min_age"],
        yes: bool = options["yes"],
    ) -> None:
        """Delete them, with --yes; but no data that an uncollected job reads, and no model.tar.gz."""
        from shapecluster.cli._common import JobLocation
        from shapecluster.cli._leftovers import clean_up

        clean_up(JobLocation(folder, region, profile), bucket, prefix, min_age, yes=yes)

    return clean_up
