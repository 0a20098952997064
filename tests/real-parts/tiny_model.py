"""Makes a tiny language model on the spot and serves it with `transformers serve`, as real an engine as fits a test.

    python tiny_model.py FOLDER

FOLDER/tiny becomes a Llama of some ninety thousand random parameters, always the same ones, and a tokenizer that takes each
character of ASCII for a token. What it says means nothing; that it computes it token by token is what counts. The server
listens on 127.0.0.1 on a port of the kernel's choice; the model is called `tiny`. Nothing is downloaded.
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

NAME = "tiny"
BEGIN, END, PADDING = "<s>", "</s>", "<pad>"
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant: "


def make(folder: Path) -> None:
    # Printable characters, and how the byte alphabet writes a space and the end of a line.
    tokens = [*map(chr, range(0x21, 0x7F)), "\u0120", "\u010a", BEGIN, END, PADDING]
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PADDING, chat_template=TEMPLATE
    ).save_pretrained(folder)

    ends = {"bos_token_id": numbers[BEGIN], "eos_token_id": numbers[END], "pad_token_id": numbers[PADDING]}
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(numbers),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=2048,
            # Far from zero, so that it does not say the same token for ever.
            initializer_range=0.5,
            **ends,
        )
    )
    # A score of zero is never the greatest of a hundred: it goes on until it has said as much as it was asked for.
    model.lm_head.weight.data[list(ends.values())] = 0
    model.save_pretrained(folder)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    folder = Path(arguments[0])
    make(folder / NAME)
    # A model is called by its path: the relative one is short.
    os.chdir(folder)
    program = Path(sys.executable).parent / "transformers"
    options = ["--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--log-level", "info"]
    os.execv(program, [str(program), "serve", NAME, *options])


if __name__ == "__main__":
    main(sys.argv[1:])
