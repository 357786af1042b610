"""The commands of a release, and `build`, which tries the pinned image out here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bot.core.text import json_line, no_command
from bot.release_desk import ReleaseDesk, stem
from bot.world import World

if TYPE_CHECKING:
    from bot.core.release.bump import Part


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(epilog="Example: gateway-bot release bump patch")
def release() -> None:
    """Release the pinned image: the same digest in your registries, signed, with SBOMs, provable by anybody."""


@release.command(epilog="Example: gateway-bot release bump patch")
@click.argument("part", type=click.Choice(["patch", "minor", "major"]))
@click.option("--push", is_flag=True, help="Push both, and in GitHub Actions start the workflow that publishes.")
@_json
@click.pass_obj
def bump(world: World, *, part: str, push: bool, as_json: bool) -> int:
    """Make the next version: pyproject.toml, CHANGELOG.md, one commit and one annotated tag.

    Nothing is pushed without --push. Run again, it does what is left.
    """
    from bot.adapters.changelog import Changelog
    from bot.flows.bump import bump as run

    desk = ReleaseDesk(world)
    done = run(
        cast("Part", part),
        desk.image,
        desk.git(),
        world.files,
        Changelog(world.root, world.environment.others),
        world.allowed_keys,
        world.clock.now().date(),
        world.repository,
        world.settings.base,
        desk.publisher() if push else None,
    )
    click.echo(json_line(done.json()) if as_json else no_command(done.text()))
    return done.exit_code


@release.command(epilog="Example: gateway-bot release sbom v1.2.3 --output build/sbom")
@click.argument("tag", required=False)
@click.option("--output", metavar="DIR", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def sbom(world: World, *, tag: str | None, output: Path) -> int:
    """Make the SBOMs of the image that TAG pins, CycloneDX and SPDX for each platform.

    `release publish --sbom DIR` takes them: so the program that looks into the image needs no right to push or sign.
    """
    from bot.adapters.sbom_files import SbomFiles
    from bot.adapters.sbom_libraries import validate
    from bot.flows.release_observe import find_image, platforms_of, read_tag

    desk = ReleaseDesk(world)
    job = desk.job(desk.tag(tag))
    desk.sbom_maker(job, output if job.policy.mode == "build" else None)
    world.tools.sboms.ready()
    pinned = read_tag(job, desk.git())[2]
    served = find_image(job, pinned.pin.digest, desk.contents(job.image.repository), desk.contents)
    for warning in served.warnings:
        world.log(f"warning: {warning}")
    files = SbomFiles(output, stem(job), validate)
    for platform, digest in platforms_of(served.index):
        made = world.tools.sboms.sboms(served.served_by or job.image.repository, digest, platform)
        for path in files.write(platform, made):
            click.echo(f"{path}: {platform}, {made.packages} packages")
    return 0


@release.command(epilog="Example: gateway-bot release publish v1.2.3")
@click.argument("tag", required=False)
@click.option(
    "--sbom",
    "sboms",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="SBOMs that `release sbom` made; else they are made now.",
)
@click.option("--dry-run", is_flag=True, help="Do not act: show what is there already, and what contradicts it.")
@_json
@click.pass_obj
def publish(world: World, *, tag: str | None, sboms: Path | None, dry_run: bool, as_json: bool) -> int:
    """Copy the pinned image by digest to every target, sign and attest it, tag it, publish the GitHub Release.

    TAG is a git tag that is on GitHub; without it, the one that the workflow runs for, or that is checked out. Run
    again, it continues where it stopped, and changes nothing where all is as it should be.
    """
    from bot.flows.publish import publish as run

    desk = ReleaseDesk(world)
    job = desk.job(desk.tag(tag))
    done = run(job, desk.hands(job, sboms, dry_run=dry_run), dry_run=dry_run)
    world.runner.tell_release(done)
    if as_json:
        click.echo(json_line(done.json()))
    else:
        click.echo(no_command(done.text()), err=done.failure is not None)
    return done.exit_code


@release.command(epilog="Example: gateway-bot --repository acme/ai-gateway release verify v1.2.3")
@click.argument("tag")
@click.option(
    "--trusted-root",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Your private Sigstore's trusted root, in place of those that the repository names.",
)
@_json
@click.pass_obj
def verify(world: World, *, tag: str, trusted_root: Path | None, as_json: bool) -> int:
    """Prove a release from outside: tag, pin, digest, our signature, SBOMs, upstream's digest and signature.

    It needs no checkout, no rights and no token: the repository is named by --repository, and read at TAG.
    """
    from bot.core.release.ours import our_tag
    from bot.flows.verify_release import verify_release

    with ReleaseDesk(world).outside(trusted_root) as outside:
        chain = verify_release(our_tag(tag), world.repository, outside)
    click.echo(json_line(chain.json()) if as_json else no_command(chain.text()))
    return chain.exit_code


@click.command(epilog="Example: gateway-bot build --environment dev")
@click.option("--environment", metavar="NAME", default="", help="Start it with the config of this one, else the first.")
@click.option("--image", "name", metavar="NAME", help="Only this image of gateway-bot.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object an image, one a line.")
@click.pass_obj
def build(world: World, *, environment: str, name: str | None, as_json: bool) -> int:
    """Build the Dockerfile with the pin's arguments, prove that no layer is added, start it until it is ready."""
    from bot.flows.build import build as run

    code = 0
    for image in world.images(name):
        world.progress(f"building {image.name}")
        done = run(image, world.files, world.allowed_keys, world.tools, environment=environment)
        click.echo(json_line(done.json()) if as_json else no_command(done.text()))
        code = code or done.exit_code
    return code
