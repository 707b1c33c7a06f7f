import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bothways.core.errors import LLMError, LLMUnavailableError, MissingExtraError, ModelError, SettingsError
from bothways.core.settings import load_settings
from bothways.models.llm.language_model import load_llm
from bothways.models.llm.usage import TokenUsage
from tests.llm_server import Scripted, completion

SCHEMA = {"type": "object", "properties": {"questions": {"type": "array", "items": {"type": "string"}}}}


@pytest.fixture
def server():
    scripted = Scripted()
    yield scripted
    scripted.close()


def test_load_gives_what_is_set(server):
    assert load_llm(load_settings()) is None
    server.script = [(200, completion("答"))]
    loaded = load_llm(load_settings(llm_base_url=server.url, llm_api_key="hush", llm_model="second"))
    assert loaded.name == "second"
    assert loaded.generate("问") == "答"
    assert server.keys == ["Bearer hush"]
    assert "hush" not in repr(vars(loaded)["_address"])
    loaded.close()


@pytest.mark.parametrize("address", ["localhost:11434", "127.0.0.1", "ftp://x/v1", "http://", "http://[::1/v1"])
def test_an_address_that_is_none_is_a_settings_error(address):
    with pytest.raises(SettingsError, match="BOTHWAYS_LLM_BASE_URL"):
        load_llm(load_settings(llm_base_url=address))


CHAT = "{% for m in messages %}用户 {{ m.content }} {% endfor %}助手"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A GPT-2 with random weights and a tokenizer of single words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = {word: i for i, word in enumerate(["<unk>", "<eos>", "用户", "助手", "问", "答", "甲", "乙"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>").save_pretrained(folder)
    config = GPT2Config(vocab_size=8, n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=None)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_several_answers_to_one_prompt(server, tiny):
    server.script = [(200, completion("答"))]
    asked = load_llm(load_settings(llm_base_url=server.url, llm_model="m"), temperature=0.7)
    asked.generate("问")
    asked.close()
    assert server.requests[0]["temperature"] == 0.7
    local = load_llm(load_settings(llm_local_model=str(tiny)), temperature=1.5)
    assert len({local.generate("问 甲") for _ in range(4)}) > 1
    local.close()


def test_a_local_model_answers(tiny):
    asked = load_llm(load_settings(llm_local_model=str(tiny)))
    assert asked.name == str(tiny)
    answer = asked.generate("问 甲", json_schema=SCHEMA, timeout_s=20)
    assert isinstance(answer, str)
    assert answer
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked.generate, ["问 甲"] * 4)) == [answer] * 4
    assert asked.usage == TokenUsage(prompt=5 * 2, completion=5 * 62)  # its window of 64 is filled each time
    with pytest.raises(LLMError, match="more than the local language model takes"):
        asked.generate("问 " * 100)
    asked.close()
    with pytest.raises(LLMUnavailableError, match="closed"):
        asked.generate("问")


def test_a_local_model_is_asked_in_its_chat_form(tiny):
    from bothways.models.llm.local import LocalModel

    asked = LocalModel(str(tiny), max_new_tokens=3)
    asked._tokenizer.chat_template = CHAT
    assert asked._tokenizer.decode(asked._encoded("问 甲")["input_ids"][0]) == "用户 问 甲 助手"
    asked.close()


def test_a_local_model_that_is_not_there_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_llm(load_settings(llm_local_model=str(tmp_path)))


def test_a_local_model_without_torch_names_the_install_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bothways\[torch\]'"):
        load_llm(load_settings(llm_local_model=str(tmp_path)))
