"""Where a spec may live: a `.peft` file, or a key of a YAML, TOML or JSON config, as text or as a
structure.

A structure is a list of entries, each a text of statements or a table whose first key says what it
is:

    - {lora: {r: 8}, on: [attn.q, attn.v], in: layers 0..5, as: style, expect: 6}
    - {lora: 8, on: attn.o, where: in >= 64, with: {lr: 10x, lr.B: 16x}}
    - {quantize: [nf4, double, {compute: bf16}], on: linear}        # by position, then by keyword
    - {prefix: {len: 20}, in: all}
    - {tune: bias, on: attn.q}
    - {gate: unipelt, do: [{lora: , on: attn.q}]}
    - {task: sst, do: [{lora: {r: 4}, on: attn.q}]}
    - {let: {r: 8, s: 2 * r}}
    - {param: {rate: 0.1}}
    - {import: methods.peft}
    - {recipe: both, parameters: ["r: int = 8"], doc: two of them, do: [{lora: {r: r}, on: attn}]}
    - {method: scale, parameters: {s: float = 1}, on: linear, do: ["l: [out] = s", output *= l]}
    - {method: rslora, is: {lora: {stable: true}}}

A text in the place of a value is an expression of the language: `nf4` is a name, `2 * r` a product,
`"x"` with quotes of its own a string. A structure becomes text and is parsed, so that it means what
the text means.
"""

from .files import LARGEST as LARGEST
from .files import load_source as load_source
from .locate import parse_value as parse_value
from .locate import read as read
