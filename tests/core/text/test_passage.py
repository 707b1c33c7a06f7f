from bothways.core.text.passage import passage


def test_a_heading_stands_on_a_line_above():
    assert passage("第一条", "员工请假。") == "第一条\n员工请假。"
    assert passage("", "员工请假。") == passage(None, "员工请假。") == "员工请假。"
