"""What a batch says when it cannot be done as asked: its sentences and `BatchError`."""

from typing import ClassVar

from demo.messages import Sentences, UserError

SOUND = "<|audio_bos|><|AUDIO|><|audio_eos|>"

SENTENCES: Sentences = {
    "nothing": (
        "There is nothing to do: give sound files, a folder of them, or a manifest (.jsonl, .csv "
        "or .tsv).",
        "没有可处理的内容：请给出音频文件、含音频的文件夹，或清单文件（.jsonl、.csv 或 .tsv）。",
    ),
    "no_prompt": (
        "Your own prompt is empty: write what is to be asked about each clip.",
        "自定义提示词为空：请写下要对每段音频提的问题。",
    ),
    "raw": (
        f"A raw prompt must have {SOUND} in it exactly once, where the clip stands; this one is: "
        "{prompt}",
        f"原始提示词必须恰好包含一次 {SOUND}，表示音频所在的位置；而这里是：{{prompt}}",
    ),
    "task": (
        "There is no task {value}; there are: {choices}.",
        "没有名为 {value} 的任务；可用的有：{choices}。",
    ),
    "language": (
        "There is no translation into {value}; there are: {choices}.",
        "无法翻译成 {value}；可用的有：{choices}。",
    ),
    "too_many_rows": (
        "These are more than {limit} clips, the most that are taken at once. Send them in parts, "
        "or use `python -m demo.batch` on your own machine.",
        "音频超过 {limit} 段，即一次最多可处理的数量。请分批发送，或在自己的机器上使用 "
        "`python -m demo.batch`。",
    ),
    "too_large": (
        "{name} is larger than {limit:.0f} MB, the most that a manifest may have. Split it, or use "
        "`python -m demo.batch` on your own machine.",
        "{name} 超过 {limit:.0f} MB，即清单文件的上限。请拆分，或在自己的机器上使用 "
        "`python -m demo.batch`。",
    ),
    "not_text": (
        "{name} is no manifest: it is not text in UTF-8. Save it as UTF-8.",
        "{name} 不是清单文件：它不是 UTF-8 文本。请以 UTF-8 保存。",
    ),
    "unreadable": (
        "{name} cannot be read ({reason}). Check the name and its permissions.",
        "{name} 无法读取（{reason}）。请检查名称和权限。",
    ),
    "line": (
        "{name}, line {line}: each line must be one JSON object with an \"audio\", and this one is "
        "{value}.",
        "{name} 第 {line} 行：每行应是一个带有 “audio” 的 JSON 对象，而这里是 {value}。",
    ),
    "field": (
        "{name}, line {line}: \"{field}\" must be text, and is {value}.",
        "{name} 第 {line} 行：“{field}” 应为文本，而这里是 {value}。",
    ),
    "column": (
        "{name} has no column \"audio\" in its first line. Name the columns audio, prompt, gt "
        "there; only audio must be given.",
        "{name} 的第一行没有 “audio” 列。请在首行写明列名 audio、prompt、gt，其中只有 audio 必填。",
    ),
    "audio": (
        "{name}, line {line} names no clip: its \"audio\" is empty.",
        "{name} 第 {line} 行没有给出音频：“audio” 为空。",
    ),
    "not_uploaded": (
        "{name} was not sent: drop the clips that a manifest names together with it, or give http "
        "addresses.",
        "没有收到 {name}：请将清单中的音频与清单一起拖入，或使用 http 地址。",
    ),
    "twice": (
        "{name} was sent {count} times, from different folders: give the files different names.",
        "{name} 从不同文件夹收到了 {count} 次：请为文件取不同的名字。",
    ),
    "item": (
        "A clip must be handle_file(path), an http(s) or data: address, or an object with such an "
        "\"audio\" and perhaps a \"prompt\" and a \"gt\"; this one is {value}.",
        "音频应为 handle_file(路径)、http(s) 或 data: 地址，或带有 “audio” 以及可选的 “prompt” 和 "
        "“gt” 的对象；而这里是 {value}。",
    ),
    "output_line": (
        "{name}, line {line} is no reply of a batch: give another --output, so that nothing in "
        "this file is lost.",
        "{name} 第 {line} 行不是批处理的回复：请换一个 --output，以免丢失该文件的内容。",
    ),
    "output": (
        "{name} cannot be written ({reason}). Give another --output.",
        "{name} 无法写入（{reason}）。请换一个 --output。",
    ),
    "no_raw": (
        "A raw prompt needs the model on this machine; the engine that answers takes "
        "conversations only.",
        "原始提示词需要本机上的模型；当前的引擎只接受对话。",
    ),
    "failed": (
        "This row failed ({error}); the terminal shows the details.",
        "此行处理失败（{error}）；详情见终端。",
    ),
    "yours": (
        "{limit} of your batches are running already, and no more may at a time. Wait for one to "
        "end or stop it, then start this one again.",
        "您已有 {limit} 个批处理正在运行，已达上限。请等待其中一个结束或将其停止，然后重新开始。",
    ),
    "near": (
        "There are as many batches from your network address running ({near}) as others may still "
        "start ({free}). Nothing is lost; please start this one again later.",
        "来自您所在网络地址的批处理已有 {near} 个在运行，其余 {free} 个名额留给其他人。"
        "内容没有丢失，请稍后重新开始。",
    ),
    "full": (
        "{limit} batches of all users are running already, and no more may at a time. Nothing is "
        "lost; please start this one again later.",
        "所有用户已有 {limit} 个批处理正在运行，已达上限。内容没有丢失，请稍后重新开始。",
    ),
}  # fmt: skip


class BatchError(UserError):
    """A batch, or one row of it, cannot be done as asked."""

    sentences: ClassVar[Sentences] = SENTENCES
