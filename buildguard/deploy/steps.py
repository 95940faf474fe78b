"""The steps of a deploy: each is planned, shown, run and resumed as it stands here."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.deploy import image_steps, job_steps, service_steps
from buildguard.deploy.context import DeployContext, Observation
from buildguard.deploy.plan import (
    Builder,
    CurrentService,
    DeployOptions,
    DeployStep,
    ImageBuild,
    Step,
    traffic_stages,
)
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.verify_config import VerifyCommand


def list_steps(target: str, building: ImageBuild, serving: CurrentService, wishes: DeployOptions) -> tuple[Step, ...]:
    """The steps of a deploy in their order; `target` are the Pythons that will run it, in words."""
    first = _promotion_step(building, wishes) if wishes.promoted_from else _image_steps(target, building, wishes)
    last = _job_steps(wishes) if wishes.is_job else _service_steps(serving, wishes)
    return (*first, *last)


def _promotion_step(building: ImageBuild, wishes: DeployOptions) -> Iterator[Step]:
    yield Step(
        DeployStep.PROMOTE,
        f"take {building.shown_image}, which serves in {wishes.promoted_from} and is proven there; compare the variables",
        image_steps.promote,
    )


def _image_steps(target: str, building: ImageBuild, wishes: DeployOptions) -> Iterator[Step]:
    is_local = wishes.builder is Builder.LOCAL
    what = building.file or "Dockerfile"
    yield Step(
        DeployStep.CHECK,
        f"compile every source of the commit under {target}, with an interpreter of that version",
        image_steps.check,
        shares=lambda context: (context.plan.building.file,),
    )
    yield Step(
        DeployStep.ARCHIVE,
        "write the archive of the commit, and compare it with the commit",
        image_steps.archive,
        shares=_archive,
    )
    if not is_local:
        yield Step(
            DeployStep.UPLOAD,
            "store it in the bucket, overwriting nothing, and compare what is stored with it",
            image_steps.upload,
            shares=_archive,
        )
    here = f"run {what} on the local container engine, from the archive"
    cloud = f"run {what} in Cloud Build, and compare what it reports that it fetched"
    build = image_steps.build_here if is_local else image_steps.build_in_cloud
    yield Step(DeployStep.BUILD, here if is_local else cloud, build, shares=_image)
    yield Step(
        DeployStep.VERIFY_IMAGE,
        "compare the image's files with the commit's, and compile them with its own Python",
        image_steps.verify_image,
        shares=_image,
    )
    if not wishes.is_job:
        yield _start_step(wishes)
    if is_local:
        yield Step(
            DeployStep.PUSH,
            f"push {building.shown_image}, and take the digest that the registry returns",
            image_steps.push,
            shares=_image,
        )


def _archive(_context: DeployContext) -> tuple[str, ...]:
    """What the archive depends on: nothing beside the commit."""
    return ()


def _image(context: DeployContext) -> tuple[str, ...]:
    """What the image depends on: the builder, what is built, and its name."""
    return context.plan.wishes.builder, context.prepared.key, context.plan.building.image


def _start_step(wishes: DeployOptions) -> Step:
    without = "" if wishes.builder is Builder.LOCAL else " (without one: in Cloud Build)"
    will = f"start it on the local container engine{without} without a network, with PORT set, until it responds"
    if wishes.skip_start:
        will = f"skipped: {wishes.skip_start}"
    return Step(DeployStep.START, will, service_steps.start_image, wishes.skip_start)


def _job_steps(wishes: DeployOptions) -> Iterator[Step]:
    yield Step(
        DeployStep.VALIDATE,
        f"ask Cloud Run whether the job {wishes.service} would accept the image",
        job_steps.validate,
    )
    if wishes.no_traffic and wishes.before_traffic:
        return
    when = ", before the traffic of the services that are after it moves" if wishes.before_traffic else ""
    yield Step(
        DeployStep.EXECUTE,
        f"give {wishes.service} the image by its digest, and execute it once{when}: every task has to succeed",
        job_steps.execute,
    )
    yield Step(
        DeployStep.PROVE,
        "compare the image that the job has and that was executed with what was built",
        job_steps.prove,
    )


def _service_steps(serving: CurrentService, wishes: DeployOptions) -> Iterator[Step]:
    yield Step(
        DeployStep.VALIDATE,
        f"ask Cloud Run whether {wishes.service} would accept the revision",
        service_steps.validate,
    )
    first = f"as the service's first, from {serving.described}" if serving.described else "as the service's first"
    traffic = first if serving.alone else "without traffic, and with a tag"
    container = f" in the container {serving.container}" if serving.container else ""
    yield Step(
        DeployStep.REVISION,
        f"create the revision by the image's digest{container}, {traffic}",
        service_steps.make_revision,
    )
    yield Step(DeployStep.HEALTH, _health(serving, wishes), service_steps.check_health)
    if wishes.verify:
        commands = "; ".join(map(_verify_words, wishes.verify))
        yield Step(DeployStep.VERIFY, f"run against that address: {commands}", service_steps.verify)
    if wishes.no_traffic:
        return
    if serving.exists or not serving.known:
        ways = ", ".join(map(_stage_words, traffic_stages(serving, wishes)))
        yield Step(
            DeployStep.TRAFFIC,
            f"move traffic to it: {ways}; its health is checked after each step",
            service_steps.move_traffic,
        )
    proof = "compare the serving revision, its share and its image's digest with what was built"
    yield Step(DeployStep.PROVE, f"{proof}{_latest(serving, wishes)}", service_steps.prove)


def _verify_words(command: VerifyCommand) -> str:
    return command.run if command.tests else f"{command.run} (a probe)"


def _stage_words(stage: TrafficStage) -> str:
    if not stage.seconds:
        return f"{stage.percent} %"
    return f"{stage.percent} % for {stage.seconds:.0f} s, with requests of our own to both revisions counted"


def _latest(serving: CurrentService, wishes: DeployOptions) -> str:
    if not serving.latest.whole:
        return "; the traffic stays with revisions by name, as it is now" if serving.exists else ""
    if wishes.pin:
        return "; the traffic is pinned to the revision (pin = true)"
    return "; then the traffic follows the latest revision again"


def _health(serving: CurrentService, wishes: DeployOptions) -> str:
    asked = f"request {wishes.health or '/'} at the revision's own address, which has to respond with a status of 2xx"
    return f"{asked}, or take its own probe ({serving.probe})" if serving.probe and not wishes.health else asked


def restore(context: DeployContext) -> DeployContext:
    """After a failure: have the service or the job look as it did before."""
    restoring = job_steps.restore if context.plan.wishes.is_job else service_steps.restore
    return restoring(context)


def observe(context: DeployContext) -> Observation:
    """Who serves after a failure; nothing for a job, which has no traffic."""
    return Observation() if context.plan.wishes.is_job else service_steps.observe(context)
