from bothways.core.text.markdown import markdown_table


def test_a_cell_stays_one_cell_on_one_line():
    rows = [("a | b\nc", 1.5), ("x" * 9, "")]
    assert markdown_table(["text", "number"], rows, longest=7) == (
        "| text | number |\n|---|---|\n| a \\| b c | 1.5 |\n| xxxxxxx |  |"
    )
