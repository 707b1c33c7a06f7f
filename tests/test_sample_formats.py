"""The sample files of each format are what their script makes, and give what a reader of them expects."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from bothways.indexer.read import read

FORMATS = Path(__file__).parents[1] / "samples" / "formats"


def documents(folder):
    left_out = []
    found = list(read(folder, max_file_mb=1, on_failure=left_out.append, on_skip=lambda *what: left_out.append(what)))
    assert left_out == []
    return found


def test_the_files_are_what_the_script_makes(tmp_path):
    spec = spec_from_file_location("make_formats", FORMATS / "make.py")
    make = module_from_spec(spec)
    spec.loader.exec_module(make)
    make.write(tmp_path)
    assert documents(FORMATS / "docs") == documents(tmp_path)


def test_what_they_give():
    found = {
        (document.source.split(".")[-1], document.heading): document.text for document in documents(FORMATS / "docs")
    }
    assert found["docx", "采购流程 › 询价"].endswith(
        "金额 | 审批人\n五千元以下 | 部门主管\n五千元及以上 | 部门主管、财务部"
    )
    assert found["xlsx", "供应商 › 供应商名录（2024年）"].startswith(
        "名称: 青禾包装；品类: 纸箱；账期（天）: 30；折扣: 5%"
    )
    assert found["pptx", "新人入职第一周 › 第一天"] == "领取工牌与电脑\n签署保密协议\n提醒带身份证原件。"
    assert found["epub", "净水器手册 › 换芯"] == "指示灯变红后应当在七天内更换滤芯。\n1. 关闭水源\n2. 旋出旧芯"
    assert found["eml", "电梯检修"] == "各位同事：\n三号楼周六上午检修电梯，请走楼梯。值班安排见附件。"
    assert found["eml", "电梯检修 › 值班表"] == found["csv", "值班表"]
    assert found["csv", "值班表"].split("\n")[1] == "日期: 5月12日；值班人: 陈立；电话: 8127"
