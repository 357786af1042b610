"""What is behind a plan's gates, for its readers: the vulnerabilities, and what the config's schema changes. Pure."""

from __future__ import annotations

from bot.core.evidence import Scans
from bot.core.gateway_config import section as config_section
from bot.core.gateway_config.answer import ConfigAnswer
from bot.core.model import ScanPolicy
from bot.core.plan import Plan
from bot.core.vulnerabilities import section as vulnerabilities_section
from bot.core.vulnerabilities.judge import overriding
from bot.core.vulnerabilities.wording import name_of


def finding_sections(plan: Plan) -> list[str]:
    """Markdown, one section each, for the pull request and the step summary; without those that have nothing to say."""
    if plan.evidence is None:
        return []
    scans, config, today = plan.evidence.scans, plan.evidence.config, plan.made.date()
    policy = plan.image.scan or ScanPolicy()
    return [
        section
        for section in (
            vulnerabilities_section.markdown(scans.changes(), policy, today) if isinstance(scans, Scans) else "",
            config_section.markdown(config) if isinstance(config, ConfigAnswer) else "",
        )
        if section
    ]


def finding_lines(plan: Plan) -> list[str]:
    """The same for a terminal, without ends of lines."""
    if plan.evidence is None:
        return []
    scans, config, today = plan.evidence.scans, plan.evidence.config, plan.made.date()
    policy = plan.image.scan or ScanPolicy()
    return [
        *(vulnerabilities_section.lines(scans.changes(), policy, today) if isinstance(scans, Scans) else ()),
        *(config_section.lines(config) if isinstance(config, ConfigAnswer) else ()),
    ]


def urgent_fix(plan: Plan) -> str:
    """The worst finding for which this upgrade would not cool down; empty without one."""
    scans = plan.evidence.scans if plan.evidence else None
    if plan.image.scan is None or plan.evidence is None or not isinstance(scans, Scans):
        return ""
    fixed = overriding(scans.changes(), plan.image.scan, plan.made.date())
    return f"{name_of(fixed[0].id)} ({fixed[0].severity})" if fixed else ""


def used_fields_of(plan: Plan) -> tuple[str, ...]:
    """The paths of the fields that our config uses, where one was validated."""
    config = plan.evidence.config if plan.evidence else None
    return config.fields if isinstance(config, ConfigAnswer) else ()
