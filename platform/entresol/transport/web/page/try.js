// Lists the methods of /openapi.json and sends what is filled in; the session's token of a reply goes with the next call.
"use strict";

let session = "";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function addressOf(path, operation, form) {
  const query = new URLSearchParams();
  let address = path;
  for (const parameter of operation.parameters) {
    const value = form.elements[parameter.name].value;
    if (parameter.in === "path") {
      address = address.replace(`{${parameter.name}}`, encodeURIComponent(value));
    } else if (value && parameter.in === "query") {
      query.set(parameter.name, value);
    }
  }
  const text = query.toString();
  return text ? `${address}?${text}` : address;
}

function headersOf(operation, form) {
  const named = operation.parameters.filter((one) => one.in === "header" && form.elements[one.name].value);
  return Object.fromEntries(named.map((one) => [one.name, form.elements[one.name].value]));
}

async function send(verb, path, operation, form, shown) {
  const headers = headersOf(operation, form);
  if (session) headers["entresol-session"] = session;
  const options = { method: verb.toUpperCase(), headers };
  if (operation.requestBody) {
    headers["content-type"] = "application/json";
    options.body = form.elements.body.value;
  }
  const started = performance.now();
  try {
    const response = await fetch(addressOf(path, operation, form), options);
    const text = await response.text();
    session = response.headers.get("entresol-session") || session;
    const took = (performance.now() - started).toFixed(1);
    const by = response.headers.get("entresol-answered-by") || "";
    let body = text;
    try { body = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    shown.textContent = `${response.status} in ${took} ms ${by}\n${body}`;
  } catch (error) {
    shown.textContent = String(error);
  }
}

function method(verb, path, operation) {
  const shown = element("pre");
  const form = element("form");
  for (const parameter of operation.parameters) {
    const input = element("input", { name: parameter.name, placeholder: parameter.description || "" });
    if (parameter.required) input.required = true;
    form.append(element("label", {}, parameter.name, input));
  }
  if (operation.requestBody) {
    const body = element("textarea", { name: "body" });
    body.value = JSON.stringify(operation.requestBody.content["application/json"].example, null, 2);
    form.append(element("label", {}, "body", body));
  }
  form.append(element("button", {}, "Send"), shown);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(verb, path, operation, form, shown);
  });
  const title = element("summary", {}, element("b", {}, verb.toUpperCase()), ` ${path}`);
  const told = operation.description || operation.summary;
  if (told) form.prepend(element("p", {}, told));
  return element("details", { "data-name": `${verb} ${path} ${operation.operationId}`.toLowerCase() }, title, form);
}

async function main() {
  const api = await (await fetch("/openapi.json")).json();
  const list = document.getElementById("methods");
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [verb, operation] of Object.entries(operations)) list.append(method(verb, path, operation));
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const one of list.children) one.hidden = !one.dataset.name.includes(wanted);
  });
}

main();
