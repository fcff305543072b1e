// Reads a map of names to objects from standard input, as JSON, and prints what the operators' schemas have against them.
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";
import * as prometheus from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const models = { "keda.sh/v1alpha1": keda, "monitoring.coreos.com/v1": prometheus };
const findings = [];

let text = "";
for await (const part of process.stdin) text += part;
for (const [name, item] of Object.entries(JSON.parse(text))) {
  const Model = models[item.apiVersion]?.[item.kind];
  if (Model === undefined) {
    findings.push(`${name}: there is no ${item.kind} of ${item.apiVersion}`);
    continue;
  }
  try {
    new Model(item).validate();
  } catch (error) {
    findings.push(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify(findings));
