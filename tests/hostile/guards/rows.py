"""The guards of docs/threat-model.md: where each is, what is there without it, and the test that then fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BUNDLE: Final = "src/edgekit/core/bundle.py"
_BUNDLE_TESTS: Final = "tests/core/test_bundle.py"
_SIGNED: Final = "src/edgekit/flows/signing/bundle_signatures.py"
_SIGNED_TESTS: Final = "tests/flows/signing/test_bundle_signatures.py"
_POLICY: Final = "src/edgekit/flows/signing/policy.py"
_POLICY_TESTS: Final = "tests/flows/signing/test_policy.py"
_PROGRAMS_TESTS: Final = "tests/hostile/test_programs.py"
_INSTALLED: Final = "devices/remote/installed_programs.py"


@dataclass(frozen=True)
class Guard:
    """A guard: the text in `file` that holds a promise, what is there without it, and the test that then fails.

    `name` is the first column of a row in docs/threat-model.md.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


GUARDS: Final = (
    Guard(
        "program-parts",
        "export/programs/archive.py",
        "if not _KNOWN.fullmatch(name):",
        "if False:",
        f"{_PROGRAMS_TESTS}::test_entries_that_two_readers_understand_differently_are_refused",
    ),
    Guard(
        "program-forms",
        "export/programs/archive.py",
        "yield from refused_forms(_document(archive, entry))",
        "_document(archive, entry)",
        f"{_PROGRAMS_TESTS}::test_crafted_programs_are_refused_with_a_way_out",
    ),
    Guard(
        "pickles",
        "export/stored_tensors.py",
        'content: object = torch.load(path, map_location="cpu", weights_only=True)',
        'content: object = torch.load(path, map_location="cpu", weights_only=False)',
        "tests/export/torch/test_given_weights.py::test_a_pickle_that_runs_code_is_refused_and_not_run",
    ),
    Guard(
        "external-data",
        "src/edgekit/flows/opening/external_data.py",
        "if not location or not file.resolve().is_relative_to(folder) or file.is_symlink():",
        "if not location:",
        "tests/flows/opening/test_external_data.py::test_data_outside_the_folder_is_refused",
    ),
    Guard(
        "external-data-of-sources",
        "export/onnx/reader.py",
        "if not location or not place.resolve().is_relative_to(folder) or place.is_symlink():",
        "if not location:",
        "tests/flows/test_given.py::test_weights_outside_the_folder_are_refused",
    ),
    Guard(
        "samples-pickles",
        "src/edgekit/core/samples.py",
        "with np.load(io.BytesIO(data), allow_pickle=False) as content:",
        "with np.load(io.BytesIO(data), allow_pickle=True) as content:",
        "tests/core/test_samples.py::test_a_pickle_in_an_archive_is_not_run",
    ),
    Guard(
        "samples-size",
        "src/edgekit/core/samples.py",
        "arrays = _plain_arrays(data) if total <= MAX_FILE_BYTES else None",
        "arrays = _plain_arrays(data)",
        "tests/core/test_samples.py::test_an_archive_beyond_the_limit_is_not_unpacked",
    ),
    Guard(
        "memory",
        "src/edgekit/core/system/native/memory_limit.py",
        "            system.setrlimit(system.RLIMIT_DATA, (limit, hard))\n",
        "            pass\n",
        "tests/core/system/native/test_memory_limit.py::test_a_process_takes_no_more_than_its_limit_and_what_it_starts_has_none",
    ),
    Guard(
        "memory-on-devices",
        "devices/remote/launches.py",
        'limit = f"ulimit -d {staged.memory_bytes // 1024} 2>&-; " if staged.memory_bytes else ""',
        'limit = ""',
        "tests/devices/remote/test_launches.py::test_a_model_takes_no_more_memory_on_a_device_than_its_limit",
    ),
    Guard(
        "opening",
        "src/edgekit/core/system/native/time_limit.py",
        "        signal.setitimer(signal.ITIMER_REAL, limit_s(path, given))\n",
        "        pass\n",
        "tests/hostile/test_models.py::test_a_model_that_never_opens_is_refused_with_its_limit",
    ),
    Guard(
        "crashes",
        "src/edgekit/cli/supervisor.py",
        'if not hasattr(os, "fork"):',
        "if True:",
        "tests/hostile/test_models.py::test_a_crash_of_the_backend_is_an_error_of_the_file",
    ),
    Guard(
        "zip-paths",
        _BUNDLE,
        'if not parts or name.startswith("/") or ".." in parts or "\\\\" in name or ":" in name:',
        "if not parts:",
        f"{_BUNDLE_TESTS}::test_an_entry_that_leaves_the_bundle_is_refused",
    ),
    Guard(
        "zip-links",
        _BUNDLE,
        "if stat.S_ISLNK(entry.external_attr >> 16):",
        "if False:",
        f"{_BUNDLE_TESTS}::test_a_link_in_a_zip_is_refused",
    ),
    Guard(
        "links-in-folders",
        "src/edgekit/core/bundle.py",
        "if not file.is_file() or _is_linked(root, name):",
        "if not file.is_file():",
        "tests/hostile/test_plain_input.py::test_no_file_of_a_bundle_lies_behind_a_link",
    ),
    Guard(
        "zip-sizes",
        _BUNDLE,
        "if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:",
        "if len(entries) > MAX_ENTRIES:",
        f"{_BUNDLE_TESTS}::test_a_bomb_is_refused_before_it_is_unpacked",
    ),
    Guard(
        "checksums",
        _BUNDLE,
        "if file.stat().st_size != record.size_bytes or sha256_file(file) != record.sha256:",
        "if file.stat().st_size != record.size_bytes:",
        _BUNDLE_TESTS,
    ),
    Guard(
        "unlisted-files",
        "src/edgekit/core/bundle.py",
        "        if file.is_file() and name not in named:\n            raise BundleUnreadable(f\"'{path}' contains",
        "        if False:\n            raise BundleUnreadable(f\"'{path}' contains",
        "tests/hostile/test_plain_input.py::test_a_file_that_no_manifest_lists_does_not_verify",
    ),
    Guard(
        "signature-of-everything",
        _SIGNED,
        "    _refuse_unnamed(bundle)\n    if bundle.path.is_file():",
        "    if bundle.path.is_file():",
        f"{_SIGNED_TESTS}::test_a_file_that_was_added_is_found",
    ),
    Guard(
        "signature-of-every-byte",
        _SIGNED,
        "        _refuse_repacked(bundle)\n    return signer",
        "        pass\n    return signer",
        f"{_SIGNED_TESTS}::test_every_byte_of_the_signature_and_of_the_frame_of_the_zip_counts",
    ),
    Guard(
        "signature-in-one-form",
        "src/edgekit/flows/signing/ssh_signatures.py",
        "if not is_canonical(signature.read_bytes()):",
        "if False:",
        f"{_SIGNED_TESTS}::test_a_byte_that_openssh_does_not_read_is_a_change_too",
    ),
    Guard(
        "signature-required",
        _POLICY,
        "        if not is_signed(bundle):",
        "        if not is_signed(bundle):\n            return None\n        if not is_signed(bundle):",
        f"{_POLICY_TESTS}::test_every_command_that_uses_a_bundle_refuses_an_unsigned_one",
    ),
    Guard(
        "allowed-signers",
        _POLICY,
        "        return verify_bundle(bundle, self.signers())\n\n    def check_file",
        "        return None\n\n    def check_file",
        f"{_POLICY_TESTS}::test_a_bundle_that_someone_else_signed_and_a_bare_file_are_refused",
    ),
    Guard(
        "bare-files",
        "src/edgekit/flows/opening/artifacts.py",
        "            user_policy().check_file(path)\n",
        "            pass\n",
        f"{_POLICY_TESTS}::test_a_bundle_that_someone_else_signed_and_a_bare_file_are_refused",
    ),
    Guard(
        "policy-of-the-user",
        _POLICY,
        "settings = user_settings(folder / USER_FILE)",
        "from edgekit.core.system.settings import load_settings; settings = load_settings()[0]",
        f"{_POLICY_TESTS}::test_a_project_has_no_say",
    ),
    Guard(
        "replaced-by-projects",
        "src/edgekit/core/system/confined/project_paths.py",
        "    if is_model(path):\n",
        "    if True:\n",
        "tests/core/system/confined/test_project_paths.py::test_only_what_edgekit_wrote_is_replaced",
    ),
    Guard(
        "replaced-by-force",
        "src/edgekit/core/system/files.py",
        "    if not may_replace(path):\n",
        "    if False:\n",
        "tests/hostile/test_outputs.py::test_force_replaces_only_what_edgekit_wrote",
    ),
    Guard(
        "paths-of-projects",
        "src/edgekit/core/system/confined/project_paths.py",
        "if not name.isprintable() or not _is_below(root, Path(os.path.realpath(folder / name))):",
        "if not name.isprintable():",
        "tests/hostile/test_cloned_repository.py::test_a_configuration_reaches_nothing_outside_of_its_folder",
    ),
    Guard(
        "device-verifies-first",
        _INSTALLED,
        '(verified "$new") || undo {_REFUSED}\n',
        "",
        f"{_POLICY_TESTS}::test_a_device_runs_only_programs_that_its_user_allows",
    ),
    Guard(
        "device-verifies-again",
        _INSTALLED,
        '{_VERIFIED}verified "$here"\n',
        "{_VERIFIED}",
        f"{_POLICY_TESTS}::test_a_device_verifies_before_every_start_and_before_going_back",
    ),
    Guard(
        "names-of-files",
        "src/edgekit/cli/commands/bundle.py",
        'plain = re.sub(r"[^\\w. -]+", "-", model).lstrip(".")',
        "plain = model",
        "tests/flows/writing/test_sbom.py::test_the_command_writes_it_once_and_nowhere_else",
    ),
    Guard(
        "projects-vouch-for-nothing",
        "src/edgekit/core/system/settings.py",
        'USER_ONLY: Final = ("trust", ',
        "USER_ONLY: Final = (",
        "tests/flows/opening/test_trusted_packages.py::test_a_project_cannot_vouch_for_itself",
    ),
    Guard(
        "code-of-packages",
        "src/edgekit/flows/opening/trusted_packages.py",
        "if package == _OWN or _is_here(package)",
        "if True or _is_here(package)",
        "tests/flows/opening/test_trusted_packages.py::test_nothing_of_the_package_runs_before",
    ),
    Guard(
        "code-of-projects",
        "src/edgekit/flows/opening/trusted_packages.py",
        "if not is_project_code(source) or _is_trusted(PROJECT_CODE, project, settings):",
        "if True:",
        "tests/hostile/test_cloned_repository.py::test_a_configuration_runs_no_code_of_a_repository_before_the_user_says_so",
    ),
    Guard(
        "planted-modules",
        "src/edgekit/__main__.py",
        "        del sys.path[0]",
        "        pass",
        "tests/hostile/test_planted_modules.py",
    ),
    Guard(
        "replies",
        "src/edgekit/core/job.py",
        "Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]",
        "Seconds = float",
        "tests/hostile/test_device_replies.py::test_a_result_that_no_launch_can_have_is_an_error_of_the_device",
    ),
    Guard(
        "bodies",
        "devices/web/server.py",
        "if not limit or not _LENGTH.fullmatch(length) or int(length) > limit:",
        "if not limit or not _LENGTH.fullmatch(length):",
        "tests/hostile/test_device_replies.py::test_a_body_that_is_too_long_is_refused_before_it_is_read",
    ),
    Guard(
        "terminal",
        "src/edgekit/cli/printing.py",
        "parts[::2] = [HOSTILE.sub(REPLACEMENT, part) for part in parts[::2]]",
        "pass",
        "tests/hostile/test_printing.py::test_progress_errors_and_notes_go_through_the_same_door",
    ),
    Guard(
        "pages",
        "src/edgekit/report/pages/page.py",
        "autoescape=True,",
        "autoescape=False,",
        "tests/report/pages/test_documents.py::test_hostile_names_are_text",
    ),
    Guard(
        "host-keys",
        "devices/remote/ssh.py",
        '"StrictHostKeyChecking": "yes",',
        '"StrictHostKeyChecking": "no",',
        "tests/devices/remote/test_ssh.py::test_an_unknown_host_key_is_never_accepted_for_the_user",
    ),
    Guard(
        "addresses",
        "devices/remote/ssh.py",
        'if address.startswith("-"):',
        "if False:",
        "tests/devices/remote/test_ssh.py::test_an_address_that_is_an_option_is_refused",
    ),
    Guard(
        "downloads",
        "src/edgekit/core/system/fetch.py",
        "found = hashlib.file_digest(stream, algorithm).hexdigest()",
        "found = checksum",
        "tests/devices/web/test_browser.py::test_packages_of_another_content_are_refused",
    ),
    Guard(
        "cached-archives",
        "src/edgekit/core/system/fetch.py",
        "    if found != wanted:\n",
        "    if False:\n",
        "tests/devices/remote/test_engines.py::test_a_cached_archive_that_has_changed_is_not_sent",
    ),
    Guard(
        "cached-scripts",
        "devices/web/packages.py",
        "if file not in found or sha256_bytes(found[file]) != checksum:",
        "if file not in found:",
        "tests/devices/web/test_browser.py::test_a_cached_file_that_has_changed_is_not_served",
    ),
    Guard(
        "cached-tools",
        "src/edgekit/core/system/environments.py",
        "    if not is_unchanged(tool):\n",
        "    if False:\n",
        "tests/flows/test_tools.py::test_an_environment_that_has_changed_is_not_run_and_is_installed_again",
    ),
    Guard(
        "cached-versions",
        "src/edgekit/flows/sweeping/backend_versions.py",
        "        if not is_whole(self.folder):\n",
        "        if False:\n",
        "tests/flows/sweeping/test_sweep.py::test_an_environment_of_a_version_that_has_changed_is_not_run",
    ),
    Guard(
        "sweep-paths",
        "src/edgekit/flows/sweeping/sweep_file.py",
        """        inside(path.parent, text, f"'{path}': models[{place}]")""",
        "        pass",
        "tests/flows/sweeping/test_sweep_file.py::test_a_link_out_of_the_folder_is_not_followed",
    ),
    Guard(
        "sweep-versions",
        "src/edgekit/flows/sweeping/backend_versions.py",
        "if not equals or not _VERSION.fullmatch(version):",
        "if not equals:",
        "tests/flows/sweeping/test_sweep_file.py::test_what_is_wrong_with_a_file_is_said",
    ),
    Guard(
        "offline",
        "src/edgekit/core/system/fetch.py",
        "    if offline:\n",
        "    if False:\n",
        "tests/core/system/test_fetch.py::test_offline_is_refused_with_the_way_out",
    ),
    Guard(
        "outputs",
        "src/edgekit/core/system/durable/claims.py",
        "    if owner is None:\n",
        "    if False:\n",
        "tests/core/system/durable/test_claims.py::test_a_second_claim_is_refused_until_the_first_ends",
    ),
    Guard(
        "actions",
        "examples/ci/.github/workflows/latency.yml",
        "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
        "actions/checkout@v4",
        "tests/architecture/test_workflow.py",
    ),
)
