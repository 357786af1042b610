"""The demo's pull request as a page that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from html import escape

from markdown_it import MarkdownIt

from bot.embedded.github import Pull

_STYLE = """
body{font:14px/1.5 -apple-system,"Segoe UI",Helvetica,Arial,sans-serif;color:#1f2328;margin:0;background:#fff}
main{max-width:1012px;margin:0 auto;padding:24px 16px 64px}
h1{font-weight:400;font-size:28px;margin:0 0 8px}h1 span{color:#59636e}
.state{display:inline-block;background:#1f883d;color:#fff;border-radius:2em;padding:4px 12px;margin-right:8px}
.meta{color:#59636e;border-bottom:1px solid #d1d9e0;padding-bottom:16px;margin-bottom:16px}
.box{border:1px solid #d1d9e0;border-radius:6px;margin:16px 0;overflow:hidden}
.head{background:#f6f8fa;border-bottom:1px solid #d1d9e0;padding:8px 16px;color:#59636e}
.body{padding:4px 16px 8px;overflow-x:auto}
table{border-collapse:collapse;display:block;overflow-x:auto;margin:8px 0 16px}
th,td{border:1px solid #d1d9e0;padding:6px 13px;text-align:left}
code{background:#eff1f3;border-radius:6px;padding:2px 5px;font:12px ui-monospace,Menlo,Consolas,monospace}
pre{margin:0;font:12px/20px ui-monospace,Menlo,Consolas,monospace;overflow-x:auto}
pre span{display:block;padding:0 16px;white-space:pre}.add{background:#dafbe1}.del{background:#ffebe9}
.hunk{background:#ddf4ff;color:#59636e}summary{cursor:pointer}
"""


def page(pull: Pull, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """The page: the body as GitHub would render it, and what changes in each file."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    changed = [path for path in sorted(after) if before.get(path) != after[path]]
    diffs = "".join(_diff(path, before.get(path, b""), after[path]) for path in changed)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(pull.title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(pull.title)} <span>#{pull.number}</span></h1>"
        f'<p class="meta"><span class="state">Open</span> {escape(pull.author.login)} wants to merge into '
        f"<code>{escape(pull.base)}</code> from <code>{escape(pull.head)}</code></p>"
        f'<div class="box"><div class="head">{escape(pull.author.login)}</div>'
        f'<div class="body">{markdown.render(pull.body)}</div></div>'
        f"<h2>{len(changed)} files changed</h2>{diffs}</main></body></html>\n"
    )


def _diff(path: str, before: bytes, after: bytes) -> str:
    lines = list(unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=2, lineterm=""))[2:]
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    spans = "".join(f'<span class="{kinds.get(line[:1], "")}">{escape(line)}</span>' for line in lines)
    return f'<div class="box"><div class="head"><code>{escape(path)}</code></div><pre>{spans}</pre></div>'
