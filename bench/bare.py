"""The least that a correct nothing-new run can be: httpx, the same requests, the same checks, no product.

bare.py API SOURCE REGISTRY REPOSITORY TAG DIGEST MODE: MODE is `releases` or `tags`. Exits 1 where a check fails.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urljoin

import httpx

INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPT = f"{INDEX}, application/vnd.docker.distribution.manifest.list.v2+json"


def version(tag: str) -> tuple[int, ...] | None:
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", tag)
    return tuple(map(int, match.groups())) if match else None


class Registry:
    def __init__(self, client: httpx.Client, host: str, repository: str) -> None:
        self.client, self.base, self.repository = client, f"http://{host}/v2/{repository}", repository
        self.lock = threading.Lock()
        self.headers = {"Accept": ACCEPT, "Accept-Encoding": "identity"}

    def get(self, url: str) -> httpx.Response:
        response = self.client.get(url, headers=self.headers)
        if response.status_code == 401:
            with self.lock:
                if "Authorization" not in self.headers:
                    params = dict(re.findall(r'(\w+)="([^"]*)"', response.headers["WWW-Authenticate"]))
                    query = urlencode({"service": params["service"], "scope": f"repository:{self.repository}:pull"})
                    token = self.client.get(f"{params['realm']}?{query}").raise_for_status().json()
                    self.headers["Authorization"] = f"Bearer {token.get('token') or token['access_token']}"
            response = self.client.get(url, headers=self.headers)
        return response.raise_for_status()

    def check_pin(self, tag: str, digest: str) -> None:
        response = self.get(f"{self.base}/manifests/{tag}")
        found = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        index = json.loads(response.content)
        assert response.headers["Docker-Content-Digest"] == found == digest
        assert response.headers["Content-Type"] == index["mediaType"] == INDEX
        assert "layers" not in index
        platforms = {(m["platform"]["os"], m["platform"]["architecture"]) for m in index["manifests"]}
        assert {("linux", "amd64"), ("linux", "arm64")} <= platforms

    def tags(self) -> list[str]:
        url, found = f"{self.base}/tags/list?n=1000", []
        while url:
            response = self.get(url)
            found += response.json()["tags"]
            url = urljoin(url, response.links["next"]["url"]) if "next" in response.links else ""
        return found


def releases(client: httpx.Client, api: str, source: str) -> list[str]:
    response = client.get(f"{api}/repos/{source}/releases?per_page=100").raise_for_status()
    return [r["tag_name"] for r in response.json() if not r["draft"] and not r["prerelease"]]


def main(api: str, source: str, host: str, repository: str, tag: str, digest: str, mode: str) -> None:
    with httpx.Client() as client, ThreadPoolExecutor(1) as beside:
        registry = Registry(client, host, repository)
        pinned = beside.submit(registry.check_pin, tag, digest)
        names = registry.tags() if mode == "tags" else releases(client, api, source)
        pinned.result()
    newest = max(found for name in names if (found := version(name)))
    print("nothing new" if newest == version(tag) else f"new: {newest}")


if __name__ == "__main__":
    main(*sys.argv[1:])
