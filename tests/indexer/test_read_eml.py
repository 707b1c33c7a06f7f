"""Mail: its text and its attachments, however badly it is written."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import docx
import pytest

from bothways.indexer.read import READERS, document_id
from tests.indexer.reading import Reading

HEAD = b"From: a@example.com\r\nSubject: =?utf-8?B?6YCa55+l?=\r\nDate: Mon, 6 May 2024 09:00:00 +0800\r\n"


def mail(text: str | None = "请查收。", subject: str = "五月值班") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "张三 <zhang@example.com>"
    message["To"] = "li@example.com, 王五 <wang@example.com>"
    message["Date"] = "Mon, 6 May 2024 09:00:00 +0800"
    message["Subject"] = subject
    if text is not None:
        message.set_content(text)
    return message


def saved(message: EmailMessage | bytes, folder: Path) -> Path:
    data = message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP)
    (folder / "a.eml").write_bytes(data)
    return folder / "a.eml"


def word_bytes(text: str) -> bytes:
    data = BytesIO()
    word = docx.Document()
    word.add_heading("排班", 1)
    word.add_paragraph(text)
    word.save(data)
    return data.getvalue()


def test_text_and_headers(tmp_path: Path) -> None:
    message = mail("各位：\n\n请查收。\n")
    message.add_alternative("<p>别的</p>", subtype="html")
    reading = Reading(saved(message, tmp_path))
    [document] = reading.documents
    assert document.blocks == ("各位：", "请查收。")
    assert (document.title, document.heading) == ("五月值班", "五月值班")
    assert document.metadata == {
        "from": "张三 <zhang@example.com>",
        "to": "li@example.com, 王五 <wang@example.com>",
        "date": "2024-05-06T09:00:00+08:00",
    }
    assert document.doc_id == document_id("a.eml", record=0)
    assert not reading.skipped


def test_html_where_there_is_no_plain_text(tmp_path: Path) -> None:
    message = mail(" \n")
    message.add_alternative("<h2>安排</h2><p>周一<br>张三</p><style>p {}</style>", subtype="html")
    reading = Reading(saved(message, tmp_path))
    assert reading.blocks == [("周一\n张三",)]
    assert reading.headings == ["五月值班 › 安排"]


def test_attachments_are_read_as_documents_of_their_own(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(
        word_bytes("周一：张三。"), maintype="application", subtype="octet-stream", filename="值班 表.DOCX"
    )
    message.add_attachment("姓名,电话\n张三,1\n", subtype="csv", filename="../../电话.csv")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png")
    message.add_attachment(b"PK", maintype="application", subtype="pdf", filename="坏.docx")
    message.add_attachment("再见。", subtype="plain", disposition="inline")
    reading = Reading(saved(message, tmp_path))
    assert reading.blocks == [("请查收。",), ("周一：张三。",), ("姓名: 张三；电话: 1",), ("再见。",)]
    assert reading.headings == ["五月值班", "五月值班 › 排班", "五月值班 › 电话", "五月值班 › 5"]
    assert [document.metadata.get("attachment") for document in reading.documents] == [
        *(None, "值班 表.DOCX", "../../电话.csv", "5.txt"),
    ]
    assert {document.metadata["date"] for document in reading.documents} == {"2024-05-06T09:00:00+08:00"}
    assert reading.documents[1].doc_id == document_id("a.eml/1/值班 表.DOCX", record=1)
    assert reading.skipped == ["Attachment 'logo.png': Files of type .png are not read."]
    assert reading.failures == ["Attachment '坏.docx': The Word file is corrupt: File is not a zip file."]


def test_mails_in_mails_are_followed_three_levels_deep(tmp_path: Path) -> None:
    innermost = mail("四。", "第四封")
    third = mail("三。", "第三封")
    third.add_attachment(innermost)
    second = mail("二。", "第二封")
    second.add_attachment(third.as_bytes(), maintype="application", subtype="octet-stream", filename="3.eml")
    first = mail("一。", "第一封")
    first.add_attachment(second)
    reading = Reading(saved(first, tmp_path))
    assert reading.blocks == [("一。",), ("二。",), ("三。",)]
    assert reading.headings == ["第一封", "第一封 › 第二封", "第一封 › 第二封 › 第三封"]
    [skipped] = reading.skipped
    assert skipped.endswith("Attached mails are read only 3 levels deep.")


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("gb2312", "gb18030"),
        ("no-such-thing", "gbk"),
        ("utf-8", "gbk"),
        ("us-ascii", "utf-8"),
        ('"', "utf-8"),
        ("hex", "utf-8"),
    ],
)
def test_a_broken_charset(tmp_path: Path, charset: str, encoding: str) -> None:
    text = "合同当事人应当履行义务。镕"
    kind = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    [document] = Reading(saved(HEAD + kind.encode() + text.encode(encoding), tmp_path)).documents
    assert (document.title, document.text) == ("通知", text)


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("Subject: 会议通知：请按时参加".encode("gbk"), "会议通知：请按时参加"),
        ("Subject: 会议通知".encode(), "会议通知"),
        (b"Subject: =?gb2312?B?u+HS6c2o1qo=?=", "会议通知"),
        (b"Subject: =?nonsense?Q?=E4?=", None),
        (b"Subject: =?utf-8?B?!!!?=", None),
        (b"Subject: \xff\xfe", None),
        (b"Subject:", "a"),
        (b"Date: nonsense\r\nTo: <<@@>>;;:\r\nFrom: \xff", "a"),
    ],
)
def test_broken_headers(tmp_path: Path, header: bytes, title: str | None) -> None:
    [document] = Reading(saved(header + b"\r\nX-A: b\r\n\r\nbody of it", tmp_path)).documents
    assert document.text == "body of it"
    assert title is None or document.title == title
    assert document.title.encode()  # no half surrogates
    assert "date" not in document.metadata


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty."),
        (b"just some text\nin lines", "The file is not a mail: it has no headers."),
        (HEAD + b"\r\n\r\n", "The mail is empty: it has neither text nor attachments."),
        (HEAD + b"Content-Type: application/pkcs7-mime\r\n\r\nMIAG", "The mail is encrypted."),
    ],
)
def test_what_is_no_mail(tmp_path: Path, data: bytes, reason: str) -> None:
    assert Reading(saved(data, tmp_path)).failure == reason


def test_a_mail_that_is_nothing_but_an_attachment(tmp_path: Path) -> None:
    kind = b"Content-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n"
    assert Reading(saved(HEAD + kind + b"a,b\n1,2\n3,4", tmp_path)).blocks == [("a: 1；b: 2", "a: 3；b: 4")]


def test_parts_nested_without_end(tmp_path: Path) -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000))
    reading = Reading(saved(HEAD + deep + b"\r\n\r\ntext", tmp_path))
    assert len(reading.failures) + len(reading.documents) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("code=4: no such thing"), KeyError("x"), OSError(5, "Input/output error")]
)
def test_whatever_happens_over_an_attachment_leaves_the_others(tmp_path: Path, monkeypatch, error) -> None:
    def fails(source):
        raise error

    monkeypatch.setitem(READERS, ".docx", fails)
    message = mail()
    message.add_attachment(b"PK", maintype="application", subtype="octet-stream", filename="坏.docx")
    message.add_attachment("姓名,电话\n张三,1\n", subtype="csv", filename="电话.csv")
    reading = Reading(saved(message, tmp_path))
    assert [document.metadata.get("attachment") for document in reading.documents] == [None, "电话.csv"]
    [failure] = reading.failures
    assert failure.startswith("Attachment '坏.docx': The file ca")
