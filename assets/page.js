// What the page does by script: the forced language, the microphone's absence, the queue in words.
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

  // Gradio says the place in the queue in English only, and in a programmer's words.
  const inQueue = (place, size) =>
    chinese ? `排队中：第 ${place} 位，共 ${size} 位` : `Waiting: number ${place} of ${size}`;
  const say = (text) =>
    text
      .replace(/queue: (\d+)\/(\d*)\s*\|/, (_, place, size) => inQueue(place, size || "?"))
      .replace(/processing\s*\|/, "")
      .replace(/^\s*(\d+\.\d)s$/, (_, seconds) => (chinese ? `${seconds} 秒` : `${seconds} s`));
  const reword = (node) => {
    const told = say(node.data);
    if (told !== node.data) node.data = told;
  };
  const within = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) reword(walker.currentNode);
  };
  const watch = () =>
    new MutationObserver((changes) => {
      for (const { target, addedNodes, type } of changes) {
        const element = type === "characterData" ? target.parentElement : target;
        if (!element?.closest?.(".progress-text")) {
          for (const node of addedNodes) node.querySelectorAll?.(".progress-text").forEach(within);
        } else if (type === "characterData") reword(target);
        else within(element);
      }
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  if (document.body) watch();
  else document.addEventListener("DOMContentLoaded", watch);
})();
