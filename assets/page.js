// What the page does by script: the forced language, the missing microphone, Gradio's own words,
// folders that are dropped.
(() => {
  if (window.demoLanguage) {
    Object.defineProperty(navigator, "language", { get: () => window.demoLanguage });
    Object.defineProperty(navigator, "languages", { get: () => [window.demoLanguage] });
  }
  const chinese = navigator.language.toLowerCase().startsWith("zh");
  const root = document.documentElement;
  root.lang = chinese ? "zh" : "en";
  // Browsers give the microphone only to https pages and to this same machine.
  root.classList.toggle("insecure", !window.isSecureContext);

  // Gives a keyboard its place back; not on a touch screen, where a keyboard would pop up.
  window.demoFocus = (selector) => {
    const lost = document.activeElement === document.body || !document.activeElement;
    if (lost && window.matchMedia("(pointer: fine)").matches)
      document.querySelector(selector)?.focus({ preventScroll: true });
  };

  // Gradio says the place in the queue in English only, and in a programmer's words.
  const inQueue = (place, size) =>
    chinese ? `排队中：第 ${place} 位，共 ${size} 位` : `Waiting: number ${place} of ${size}`;
  const say = (text) =>
    text
      .replace(/queue: (\d+)\/(\d*)\s*\|/, (_, place, size) => inQueue(place, size || "?"))
      .replace(/processing\s*\|/, "")
      .replace(/^\s*(\d+\.\d)(?:\/[\d.]+)?s$/, (_, seconds) => (chinese ? ` ${seconds} 秒` : ` ${seconds} s`));
  const reword = (node) => {
    const told = say(node.data);
    if (told !== node.data) node.data = told;
  };
  const rewordWithin = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) reword(walker.currentNode);
  };

  // Tips and screen readers' labels that Gradio has in English only.
  const NAMED = "[aria-label], [title]";
  const translate = (element) => {
    for (const name of ["aria-label", "title"]) {
      const text = element.getAttribute(name);
      const words = text && (window.demoWords[text] || speaker(text));
      if (words && words !== text) element.setAttribute(name, words);
    }
  };
  const speaker = (text) =>
    text
      .replace(/^user's message: /, "您的消息：")
      .replace(/^bot's message: /, "回复：")
      .replace(/^(.*：)a component of type .*$/, "$1音频");

  // A clip has come into the box: the server may listen to it while the question is typed.
  const CLIP = "#question .thumbnail-item";
  const listen = () => document.querySelector("#question-uploaded")?.click();
  const onClip = (node) => {
    if (node.matches(CLIP) || node.querySelector(CLIP)) setTimeout(listen);
  };

  // Which clip is which: Gradio's player does not tell the name of its file.
  const LINK = ".chat .download-link";
  const name = (link) => (link.dataset.name = decodeURIComponent(link.pathname.split("/").pop()));

  // A folder that is dropped on the batch: Gradio takes files only, so it is handed its sounds.
  const within = async (entry) => {
    if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
    const reader = entry.createReader();
    const found = [];
    for (let some; (some = await new Promise((done, fail) => reader.readEntries(done, fail))).length; )
      for (const one of some) found.push(...(await within(one)));
    return found.filter(({ name }) => {
      const ending = name.slice(name.lastIndexOf(".")).toLowerCase();
      return !name.startsWith(".") && window.demoSounds.includes(ending);
    });
  };
  const onDrop = async (event) => {
    const input = event.target.closest?.("#batch-files")?.querySelector("input[type=file]");
    const items = input ? [...event.dataTransfer.items] : [];
    const entries = items.map((item) => item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    const box = new DataTransfer();
    for (const files of await Promise.all(entries.map(within))) files.forEach((file) => box.items.add(file));
    input.files = box.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("drop", onDrop, true);

  const onAdded = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    onClip(node);
    if (node.matches(LINK)) name(node);
    node.querySelectorAll(LINK).forEach(name);
    if (node.closest(".progress-text")) rewordWithin(node);
    node.querySelectorAll(".progress-text").forEach(rewordWithin);
    if (!chinese) return;
    if (node.matches(NAMED)) translate(node);
    node.querySelectorAll(NAMED).forEach(translate);
  };
  const onChange = ({ type, target, attributeName, addedNodes }) => {
    if (attributeName === "href") target.matches(LINK) && name(target);
    else if (type === "attributes") translate(target);
    else if (type === "characterData") {
      if (target.parentElement?.closest(".progress-text")) reword(target);
    } else {
      addedNodes.forEach(onAdded);
      if (target.closest?.(".progress-text")) rewordWithin(target);
    }
  };
  const watch = () => {
    const attributes = ["href", ...(chinese ? ["aria-label", "title"] : [])];
    new MutationObserver((changes) => changes.forEach(onChange)).observe(document.body, {
      childList: true, characterData: true, subtree: true, attributeFilter: attributes,
    });
    onAdded(document.body);
  };
  if (document.body) watch();
  else document.addEventListener("DOMContentLoaded", watch);
})();
