"""Writes docs/employee/园区安全须知.pdf, the one PDF of the sample knowledge base; text and layout are below.

Run it with `python samples/handbook/make_pdf.py [OUT.pdf]` after a change of the text, and commit the PDF.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pymupdf

PDF = Path(__file__).parent / "docs" / "employee" / "园区安全须知.pdf"
TITLE = "浅溪园区安全须知"
FOOTER = "浅溪生活电器 · 行政部"

PAGES = [
    (
        "一、火灾与疏散",
        (
            "发现火情应当立即按下最近的手动报警按钮，并拨打园区应急电话 8119。"
            "疏散时沿绿色指示标志由楼梯撤离，不得使用电梯，到达三号楼南侧草坪集合点后由楼层安全员清点人数。"
            "灭火器每层设有六具，使用前须确认自身退路。公司每年五月与十一月各组织一次演练。"
        ),
    ),
    (
        "二、工伤处理",
        (
            "员工在工作时间和工作场所内因工作原因受到伤害的，现场人员应当首先送医，并在一小时内通知主管与行政部。"
            "员工或家属应当于二十四小时内提交《事故报告表》（AD-11），"
            "公司自事故发生之日起三十日内向社会保险行政部门申请工伤认定。治疗期间原工资福利不变。"
        ),
    ),
    (
        "三、恶劣天气",
        (
            "气象部门发布台风、暴雨橙色预警时，员工可以自行决定居家工作，无须事前批准；发布红色预警时，"
            "除应急值守人员外一律停止到岗，工资照常支付。应急值守人员由公司安排接送及住宿，"
            "并按照日工资的百分之二百给予补贴。行政部以短信通知复工时间。"
        ),
    ),
]
"""Heading and text of each page."""

CSS = """
* {font-family: sans-serif; color: #1f2933}
h1 {font-size: 20pt; color: #0b6e8a; margin-bottom: 14pt}
p {font-size: 13pt; line-height: 1.9}
"""

A4 = pymupdf.paper_rect("a4")
BODY = pymupdf.Rect(A4.x0 + 72, A4.y0 + 100, A4.x1 - 72, A4.y1 - 100)


def write(path: Path) -> None:
    """Write the PDF to `path`: a page for each entry of `PAGES`, its fonts embedded as subsets."""
    with pymupdf.open() as pdf:
        pdf.set_metadata({"title": TITLE, "author": FOOTER, "creationDate": "", "modDate": "", "producer": ""})
        for number, (heading, text) in enumerate(PAGES, start=1):
            page = pdf.new_page(width=A4.width, height=A4.height)
            page.insert_htmlbox(BODY, f"<h1>{heading}</h1><p>{text}</p>", css=CSS)
            _running_line(page, A4.y0 + 40, TITLE)
            _running_line(page, A4.y1 - 60, f"{FOOTER} · {number} / {len(PAGES)}")
        pdf.subset_fonts()
        pdf.save(path, garbage=4, deflate=True, no_new_id=True)


def _running_line(page: pymupdf.Page, top: float, text: str) -> None:
    box = pymupdf.Rect(A4.x0 + 72, top, A4.x1 - 72, top + 24)
    page.insert_htmlbox(box, f'<p style="font-size: 9pt; line-height: 1.2">{text}</p>', css=CSS)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else PDF)
