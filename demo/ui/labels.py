"""The page's labels, English and Chinese, and the words that Gradio's own Chinese lacks."""

TEXTS: dict[str, tuple[str, str]] = {
    # tabs
    "voice_tab": ("Voice chat", "语音聊天"),
    "analysis_tab": ("Audio analysis", "音频分析"),
    "batch_tab": ("Batch", "批量处理"),
    # voice chat
    "voice_chat": ("Voice conversation", "语音对话"),
    "voice_empty": (
        "### Say something\nPress the microphone, speak, press again. The reply starts by itself.",
        "### 说点什么吧\n按下麦克风，说话，再按一次，回复就会开始。",
    ),
    "microphone": ("Microphone", "麦克风"),
    "voice_drop": ("Audio files", "音频文件"),
    "stop": ("Stop", "停止"),
    # audio analysis
    "analysis_chat": ("Conversation about audio", "关于音频的对话"),
    "analysis_empty": (
        "### Ask about a sound\nAttach clips or record one, then type a question.",
        "### 就声音提问\n添加或录制音频，然后输入问题。",
    ),
    "question": ("Your question", "您的问题"),
    "question_hint": (
        "Drop, paste or record a clip, and ask",
        "拖入、粘贴或录音，再提问",
    ),
    "tasks": ("Fill in a task", "填入任务"),
    "task_transcribe": ("Transcribe", "转写"),
    "task_translate": ("Translate to", "翻译成"),
    "task_describe": ("Describe", "描述"),
    "task_sound": ("What is that sound?", "这是什么声音？"),
    "task_emotion": ("Emotion", "情绪"),
    "task_music": ("Music", "音乐"),
    "language": ("Language of the translation", "翻译的目标语言"),
    "english": ("English", "英语"),
    "chinese": ("Chinese", "中文"),
    "french": ("French", "法语"),
    "german": ("German", "德语"),
    "japanese": ("Japanese", "日语"),
    "spanish": ("Spanish", "西班牙语"),
    # batch
    "batch_files": ("Sound files, or a manifest with its clips", "音频文件，或清单及其音频"),
    "batch_more": ("Add files", "添加文件"),
    "batch_folder": ("Add a folder", "添加文件夹"),
    "batch_task": ("Task", "任务"),
    "batch_prompt": ("Prompt", "提示词"),
    "task_own": ("Your own prompt", "自定义提示词"),
    "task_raw": ("Raw prompt (base model)", "原始提示词（基础模型）"),
    "batch_start": ("Start", "开始"),
    "batch_go_on": ("Go on", "继续"),
    "batch_csv": ("Download CSV", "下载 CSV"),
    "batch_jsonl": ("Download JSON lines", "下载 JSON Lines"),
    "batch_empty": (
        "### Ask one question of many clips\nDrop files or a folder. A manifest (.jsonl, .csv, "
        ".tsv) names each clip in its column <code>audio</code>, and may have a "
        "<code>prompt</code> and the right answer, <code>gt</code>.",
        "### 向多段音频提同一个问题\n拖入文件或添加文件夹。清单（.jsonl、.csv、.tsv）在 "
        "<code>audio</code> 列写明音频，还可以有提示词 <code>prompt</code> 和标准答案 "
        "<code>gt</code>。",
    ),
    # examples
    "example_sum": ("A sum", "一道算术题"),
    "example_two": ("A joke, then a capital", "先讲笑话，再问首都"),
    "example_chinese": ("A question in Chinese", "用中文提问"),
    "example_glass": ("A sound, then a voice", "先听声音，再听人声"),
    "example_louder": ("Two sounds", "两段声音"),
    "example_knocks": ("Knocks, counted", "数敲门声"),
    "example_long": ("A long message", "一段长留言"),
    # settings panel
    "settings": ("Settings", "设置"),
    "system": ("System prompt", "系统提示词"),
    "system_hint": ("You are a helpful assistant.", "You are a helpful assistant."),
    "max_new_tokens": ("Longest reply, in tokens", "回复的最大长度（词元）"),
    "temperature": ("Temperature (0 is always the likeliest)", "温度（0 表示总取最可能的词）"),
    "top_p": ("Top-p", "核采样（top-p）"),
    "top_k": ("Top-k", "候选数（top-k）"),
    "repetition_penalty": ("Repetition penalty", "重复惩罚"),
    "seed": ("Seed", "随机种子"),
    "seed_hint": ("random", "随机"),
    "reset": ("Back to the defaults", "恢复默认"),
    "settings_note": (
        "For all tabs. An empty field takes the model's own default; a batch takes temperature 0.",
        "所有标签页共用。留空则使用模型自己的默认值；批量处理的温度默认为 0。",
    ),
    # small print
    "keeping": (
        "The conversations are kept in this browser, the clips on the server for a day at most. "
        "Clear removes the conversation.",
        "对话保存在此浏览器中，音频在服务器上最多保留一天。“清空对话”会删除对话。",
    ),
    "insecure": (
        "<strong>The microphone is off.</strong> Browsers give it only to pages opened by https "
        "or on this same machine. Start the demo with <code>--ssl-certfile cert.pem "
        "--ssl-keyfile key.pem</code> or with <code>--share</code>, or send a file.",
        "<strong>麦克风不可用。</strong>浏览器只允许 https 页面或本机页面使用麦克风。请用 "
        "<code>--ssl-certfile cert.pem --ssl-keyfile key.pem</code> 或 <code>--share</code> "
        "启动，或发送文件。",
    ),
}

BUILT_IN: dict[str, str] = {
    "status.queue_position": "排队中：第 {position} 位，共 {size} 位",
}

# Labels for tips and screen readers that Gradio has in English only; the page's script says
# them in Chinese.
GRADIO_WORDS: dict[str, str] = {
    "Click to upload or drop files": "点击上传或拖入文件",
    "File upload": "上传文件",
    "File thumbnail": "文件缩略图",
    "Uploaded files": "已上传的文件",
    "Multimedia input field": "多媒体输入框",
    "Upload a file": "上传文件",
    "Record audio": "录音",
    "Attach audio": "添加录音",
    "Clear audio": "清除录音",
    "Start recording": "开始录音",
    "Stop recording": "停止录音",
    "Submit": "发送",
    "More tabs": "更多标签页",
    "Copy conversation": "复制对话",
    "Copy message": "复制消息",
    "Message copied": "已复制消息",
    "Conversation copied": "已复制对话",
    "Select input device": "选择麦克风",
    "chatbot conversation": "对话",
    "Loading response": "正在加载回复",
    "Loading content": "正在加载内容",
    "Download": "下载",
    "Play": "播放",
    "Pause": "暂停",
    "pause": "暂停",
    "Audio": "音频",
    "Scroll to bottom": "滚动到底部",
    "Remove file": "移除文件",
    "Remove this file": "移除文件",
    "Clear": "清除",
    "undo": "撤销",
    "Undo": "撤销",
    "Retry": "重试",
    "Edit": "编辑",
    "Share": "分享",
    "Gradio footer navigation": "页脚",
    "Close": "关闭",
}
