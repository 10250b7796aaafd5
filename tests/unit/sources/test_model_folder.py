from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.errors import InputError
from sync_agent.sources import model_folder
from sync_agent.sources.model_folder import ModelFolder, read_models
from tests.unit.dtdl.documents import interface, prop


def found(folder: ModelFolder) -> list[tuple[str, str]]:
    return [(finding.place, finding.code) for finding in folder.diagnostics]


def test_files_in_any_depth_are_read_together_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "bom.json").write_text(json.dumps(interface()), encoding="utf-8-sig")
    (tmp_path / "user.json").write_text(json.dumps([interface(id="U", extends="dtmi:t:Thing;1")]))
    (tmp_path / "folder.json").mkdir()

    folder = read_models(tmp_path)

    assert folder.diagnostics == ()
    assert (folder.files, folder.whole, len(folder.interfaces)) == (2, True, 2)


@pytest.mark.parametrize(
    ("data", "place", "code"),
    [
        (b'{\n  "a": 1,,\n}', "bad.json:2:10", "json:syntax"),
        (b"", "bad.json:1:1", "json:syntax"),
        (b'{\n "\xff": 1}', "bad.json:2:3", "json:encoding"),
        (b'{"a": 1, "a": 2}', "bad.json", "json:duplicateKey"),
        (b"[" * 100_000, "bad.json", "json:tooDeep"),
        (b" " * 1_001, "bad.json", "json:tooLarge"),
    ],
)
def test_a_file_that_is_no_json_is_a_finding_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, place: str, code: str
) -> None:
    monkeypatch.setattr(model_folder, "FILE_BYTES_MAX", 1_000 if code == "json:tooLarge" else 10**6)
    (tmp_path / "bad.json").write_bytes(data)
    (tmp_path / "odd.json").write_text(json.dumps(interface(prop("9"))))
    (tmp_path / "sound.json").write_text(json.dumps(interface(id="Sound")))

    folder = read_models(tmp_path)

    assert found(folder)[0] == (place, code)
    assert [finding.code for finding in folder.diagnostics[1:]] == ["stringInvalid"]
    assert folder.diagnostics[0].remedy
    assert [model.id for model in folder.interfaces] == ["dtmi:t:Sound;1"]
    assert not folder.whole


def test_a_finding_between_models_stands_where_its_model_does(tmp_path: Path) -> None:
    models = [interface(prop("a")), interface(prop("a"), id="U", extends="dtmi:t:Thing;1")]
    text = json.dumps(models, indent=1)
    (tmp_path / "both.json").write_text(text)

    (finding,) = read_models(tmp_path).diagnostics

    line = [n for n, row in enumerate(text.splitlines(), start=1) if '"contents"' in row][1]
    assert (finding.code, finding.pointer) == ("nonUniqueImportedPropertyValue", "/1/contents")
    assert (finding.line, finding.column) == (line, 15)


def test_a_finding_about_no_model_of_the_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(interface()))
    finding = Diagnostic("adt:tooMany", "too many")

    assert read_models(tmp_path).placed(finding) == finding


def test_a_path_without_models_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        read_models(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \*\.json"):
        read_models(tmp_path)
