"""What is on the embedded GitHub before anybody calls: repositories, releases, milestones, workflows, Apps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bot.embedded.github.apps import App, Apps, Installation
from bot.embedded.github.records import Account, Milestone, Pull, Release, Run, Workflow
from bot.embedded.github.state import Repository
from bot.embedded.gitobjects import FILE, Commit, Entry
from bot.embedded.server import Intercept, LoopbackServer

FileBytes = tuple[str, bytes]
"""Git's mode of a file, and its content."""


def now_utc() -> datetime:
    """The machine's clock, in whole seconds as GitHub shows them."""
    return datetime.now(UTC).replace(microsecond=0)


class Place(LoopbackServer):
    """The repositories, and what a test puts into them."""

    def __init__(
        self,
        tokens: Mapping[str, Account] | None = None,
        *,
        clock: Callable[[], datetime] = now_utc,
        intercept: Intercept | None = None,
    ) -> None:
        super().__init__(intercept=intercept)
        self.tokens = dict(tokens or {})
        self.clock = clock
        self.repositories: dict[str, Repository] = {}
        self.apps = Apps()
        self.used: dict[str, int] = {}
        """Requests that cost some of the rate limit, by login; those without a token under ``."""
        self._lock = threading.RLock()

    def create_repository(
        self,
        full_name: str,
        files: Mapping[str, FileBytes] | None = None,
        *,
        default_branch: str = "main",
        private: bool = False,
    ) -> Repository:
        """A repository with these files as its first commit."""
        owner, _, name = full_name.partition("/")
        with self._lock:
            repository = Repository(owner, name, default_branch, private, self.clock())
            self.repositories[full_name] = repository
            self.commit(full_name, default_branch, files or {"README.md": (FILE, b"")}, message="First commit")
        return repository

    def commit(
        self,
        full_name: str,
        branch: str,
        files: Mapping[str, FileBytes | None],
        *,
        message: str = "A change",
        author: str = "octocat",
        when: datetime | None = None,
    ) -> str:
        """Commits changed files to a branch as a person would; None deletes a file. Returns the SHA.

        A branch that does not exist starts at the default branch.
        """
        with self._lock:
            repository = self.repositories[full_name]
            objects = repository.objects
            parent = repository.find_commit(branch) or repository.find_commit(repository.default_branch)
            tree = objects.files(objects.commits[parent].tree) if parent else {}
            for path, file in files.items():
                if file is None:
                    del tree[path]
                else:
                    tree[path] = Entry(file[0], objects.add_blob(file[1]))
            person = Account(author, kind="User")
            ident = person.ident(when or self.clock())
            repository.people[ident.email] = person
            parents = (parent,) if parent else ()
            sha = objects.add_commit(Commit(objects.add_files(tree), parents, ident, ident, message))
            repository.set_ref(f"refs/heads/{branch}", sha, person, self.clock())
            return sha

    def add_release(
        self,
        full_name: str,
        tag: str,
        *,
        published: datetime | None = None,
        created: datetime | None = None,
        name: str = "",
        body: str = "",
        draft: bool = False,
        prerelease: bool = False,
        author: str = "github-actions[bot]",
    ) -> Release:
        """A release and its tag at the default branch. `created` is by default the time of publication."""
        with self._lock:
            repository = self.repositories[full_name]
            when = published or self.clock()
            release = Release(
                id=len(repository.releases) + 1,
                tag=tag,
                name=name or tag,
                body=body,
                author=Account(author),
                created=created or when,
                published=None if draft else when,
                draft=draft,
                prerelease=prerelease,
            )
            repository.releases.append(release)
            if not draft:
                head = repository.refs[f"refs/heads/{repository.default_branch}"]
                repository.refs.setdefault(f"refs/tags/{tag}", head)
            return release

    def add_milestone(self, full_name: str, title: str) -> Milestone:
        """An open milestone."""
        with self._lock:
            milestones = self.repositories[full_name].milestones
            made = Milestone(len(milestones) + 1, title, self.clock())
            milestones[made.number] = made
            return made

    def add_workflow(self, full_name: str, file: str) -> Workflow:
        """An active workflow, by the name of its file; the one that is there already, if it is."""
        with self._lock:
            workflows = self.repositories[full_name].workflows
            return workflows.setdefault(file, Workflow(len(workflows) + 1, file, self.clock()))

    def add_run(
        self,
        full_name: str,
        workflow_file: str,
        event: str,
        when: datetime,
        conclusion: str | None = "success",
        *,
        branch: str = "",
    ) -> Run:
        """A run of a workflow, on the default branch unless said otherwise; without a conclusion it still runs."""
        with self._lock:
            repository = self.repositories[full_name]
            workflow = self.add_workflow(full_name, workflow_file)
            branch = branch or repository.default_branch
            number = 1000 * workflow.id + len(workflow.runs) + 1
            run = Run(number, event, branch, repository.find_commit(branch) or "", when, conclusion)
            workflow.runs.append(run)
            return run

    def add_app(
        self, app_id: str | int, slug: str, public_key_pem: str, installations: Mapping[int, Installation]
    ) -> App:
        """A registered App. What is made with the tokens of its installations is by `SLUG[bot]`.

        Its tokens live by `clock`, which must be the clock of who signs with the private key.
        """
        made = App(str(app_id), slug, public_key_pem, installations)
        self.apps.registered[made.id] = made
        return made

    def pulls(self, full_name: str) -> tuple[Pull, ...]:
        """Every pull request, oldest first."""
        return tuple(self.repositories[full_name].pulls)

    def files_at(self, full_name: str, ref: str) -> dict[str, FileBytes]:
        """Every file of a branch, tag or commit: path to mode and bytes."""
        repository = self.repositories[full_name]
        sha = repository.find_commit(ref)
        if sha is None:
            raise KeyError(f"{full_name} has no {ref}")
        objects = repository.objects
        files = objects.files(objects.commits[sha].tree)
        return {path: (entry.mode, objects.blobs[entry.sha]) for path, entry in files.items()}
