// What a web page sees of the web's port: Connect (JSON, binary, GET) and gRPC-Web, by Connect's own client over fetch.
// Arguments: base URL, file of the descriptor set, name of a story. Prints one JSON document.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

const [baseUrl, descriptors, name] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const service = registry.getService("stories.v1.StoryService");
const transports = {
  json: createConnectTransport({ baseUrl }),
  binary: createConnectTransport({ baseUrl, useBinaryFormat: true }),
  get: createConnectTransport({ baseUrl, useHttpGet: true }),
  grpcWeb: createGrpcWebTransport({ baseUrl }),
};

const found = {};
for (const [kind, transport] of Object.entries(transports)) {
  const client = createClient(service, transport);
  let answeredBy = "";
  const story = await client.getStory({ name }, { onTrailer: (trailer) => { answeredBy = trailer.get("entresol-answered-by"); } });
  const refusal = await client.getStory({ name: "stories/nothing" }).catch((error) => ConnectError.from(error));
  found[kind] = {
    title: story.title,
    answeredBy,
    refused: Code[refusal.code],
    details: refusal.details.map((detail) => detail.type),
  };
}
console.log(JSON.stringify(found));
