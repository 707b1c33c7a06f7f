"""Writes samples/formats/docs: one small file of each office format, for a look at what the readers make of them.

Run it with `python samples/formats/make.py [FOLDER]` after a change of the texts, and commit the files.
"""

from __future__ import annotations

import sys
import zipfile
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx

DOCS = Path(__file__).parent / "docs"

RULES = {
    "申请": ("采购金额在五千元以下的，由部门主管审批；五千元及以上的，还应当经财务部会签。",),
    "询价": ("同一物品应当向三家以上供应商询价，并保存书面报价。", "紧急采购可以先行购买，三个工作日内补齐报价。"),
}
APPROVERS = [("金额", "审批人"), ("五千元以下", "部门主管"), ("五千元及以上", "部门主管、财务部")]
SUPPLIERS = [
    ("供应商名录（2024年）",),
    ("名称", "品类", "账期（天）", "折扣"),
    ("青禾包装", "纸箱", 30, 0.05),
    ("远山物流", "运输", 45, 0.08),
]
SLIDES = [
    ("新人入职第一周", "行政部", ""),
    ("第一天", "领取工牌与电脑\n签署保密协议", "提醒带身份证原件。"),
    ("第三天", "安全培训\n参观三号楼", ""),
]
CHAPTERS = {
    "开箱": "<p>取出主机，撕去滤芯两端的封条。</p>",
    "换芯": "<p>指示灯变红后应当在七天内更换滤芯。</p><ol><li>关闭水源</li><li>旋出旧芯</li></ol>",
}
MAIL = "各位同事：\n\n三号楼周六上午检修电梯，请走楼梯。值班安排见附件。\n"
ON_DUTY = "日期,值班人,电话\n5月11日,周敏,8123\n5月12日,陈立,8127\n"


def write(folder: Path) -> None:
    """Write all files into a folder that exists."""
    _word(folder / "采购流程.docx")
    _excel(folder / "供应商.xlsx")
    _slides(folder / "入职第一周.pptx")
    _book(folder / "净水器手册.epub")
    _mail(folder / "电梯检修.eml")
    (folder / "值班表.csv").write_bytes(ON_DUTY.encode("gb18030"))


def _word(path: Path) -> None:
    word = docx.Document()
    word.add_heading("采购流程", 0)
    for heading, texts in RULES.items():
        word.add_heading(heading, 1)
        for text in texts:
            word.add_paragraph(text)
    table = word.add_table(rows=0, cols=2)
    for texts in APPROVERS:
        for cell, text in zip(table.add_row().cells, texts, strict=True):
            cell.text = text
    word.save(str(path))


def _excel(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in SUPPLIERS:
        book.active.append(row)
    for cell in book.active["D"][2:]:
        cell.number_format = "0%"
    book.save(path)


def _slides(path: Path) -> None:
    deck = pptx.Presentation()
    for number, (title, text, notes) in enumerate(SLIDES):
        slide = deck.slides.add_slide(deck.slide_layouts[1 if number else 0])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    deck.save(str(path))


def _book(path: Path) -> None:
    pages = [f"{number}.xhtml" for number in range(len(CHAPTERS))]
    items = "".join(f'<item id="p{page}" href="{page}" media-type="application/xhtml+xml"/>' for page in pages)
    order = "".join(f'<itemref idref="p{page}"/>' for page in pages)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr(
            "META-INF/container.xml",
            '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "book.opf",
            '<package version="3.0" xmlns="http://www.idpf.org/2007/opf"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>净水器手册</dc:title><dc:creator>浅溪</dc:creator>'
            f"</metadata><manifest>{items}</manifest><spine>{order}</spine></package>",
        )
        for page, (heading, body) in zip(pages, CHAPTERS.items(), strict=True):
            html = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{heading}</h1>{body}</body></html>'
            archive.writestr(page, f'<?xml version="1.0" encoding="utf-8"?>{html}')


def _mail(path: Path) -> None:
    message = EmailMessage()
    message["From"] = "行政部 <office@example.com>"
    message["To"] = "all@example.com"
    message["Date"] = "Thu, 09 May 2024 10:00:00 +0800"
    message["Subject"] = "电梯检修"
    message.set_content(MAIL, cte="base64")
    message.add_attachment(ON_DUTY, subtype="csv", filename="值班表.csv", cte="base64")
    message.set_boundary("bothways-sample")
    path.write_bytes(message.as_bytes())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
