"""A tiny random language model for trainers, with a tokenizer and the chat template of a real model."""

from collections.abc import Iterable, Sequence
from pathlib import Path

QWEN = ("<|im_start|>", "<|im_end|>")
"""The special tokens of Qwen's chat template: the first starts a turn, the last ends one."""
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
"""Likewise of Llama 3."""

# Where Qwen 2 and Llama 3 divide a text before they encode it: a run of line breaks stays together.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def template_of(name: str) -> str:
    """Return a chat template that TRL ships, as ``qwen2_5``."""
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text()


def save(folder: Path, texts: Iterable[str], template: str, special: Sequence[str] = QWEN) -> Path:
    """Save a model of two narrow layers, and a tokenizer that is trained on texts; return the folder."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=["<pad>", *special], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    ends = {"pad_token": "<pad>", "bos_token": special[0], "eos_token": special[-1]}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends)
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"pad_token_id": fast.pad_token_id, "bos_token_id": fast.bos_token_id, "eos_token_id": fast.eos_token_id}
    config = LlamaConfig(vocab_size=len(fast), max_position_embeddings=8192, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
