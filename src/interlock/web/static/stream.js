// A shared worker: one stream of changes for all tabs of a browser. It is open while a tab wants it.
const tabs = new Set();
let source = null;
let said = { state: "connecting" };

function tell(message) {
  said = message.state ? message : said;
  for (const tab of tabs) tab.postMessage(message);
}

function open() {
  if (source) return;
  source = new EventSource("/api/v1/changes");
  source.onopen = () => tell({ state: "live" });
  source.onerror = () => tell({ state: "lost" });
  source.addEventListener("changes", (event) => tell({ runs: JSON.parse(event.data).runs }));
}

function close() {
  source?.close();
  source = null;
}

self.onconnect = ({ ports: [tab] }) => {
  tab.onmessage = ({ data }) => {
    if (data === "follow") { tabs.add(tab); open(); tab.postMessage(said); }
    if (data === "leave") { tabs.delete(tab); if (!tabs.size) close(); }
  };
};
