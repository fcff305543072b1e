// What a service written in Node sees of a transport: every shape of call, by @grpc/grpc-js.
// Arguments: address, file of the descriptor set. Prints one JSON document.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, descriptors] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(readFileSync(descriptors), { longs: String, bytes: Buffer, defaults: true });
const { WireService } = grpc.loadPackageDefinition(definition).wire.v1;
const client = new WireService(address, grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": -1,
});
const deadline = () => ({ deadline: Date.now() + 20000 });

function unary(request, metadata = new grpc.Metadata(), options = deadline()) {
  return new Promise((resolve) => {
    let error, reply;
    const call = client.Carry(request, metadata, options, (...told) => { [error, reply] = told; });
    call.on("status", (status) => setImmediate(() => resolve({ error, reply, trailing: status.metadata })));
  });
}

function collect(stream) {
  return new Promise((resolve) => {
    const replies = [];
    stream.on("data", (reply) => replies.push(reply.payload.length));
    stream.on("error", (error) => resolve({ replies, code: error.code }));
    stream.on("end", () => resolve({ replies, code: 0 }));
  });
}

const found = {};
const payload = Buffer.alloc(100000, 7);
found.unary = (await unary({ payload })).reply.payload.equals(payload);

const metadata = new grpc.Metadata();
metadata.set("echo", "text");
metadata.set("echo-bin", Buffer.from([0, 255, 1]));
const echoed = await unary({}, metadata);
found.metadata = [echoed.trailing.get("echo")[0], [...echoed.trailing.get("echo-bin")[0]]];

const failed = await unary({ code: 9 });
found.error = [failed.error.code, failed.error.details];
found.deadline = (await unary({ pause_s: 30 }, new grpc.Metadata(), { deadline: Date.now() + 200 })).error.code;
found.stream = await collect(client.Repeat({ count: 20, size_bytes: 300000 }, deadline()));
found.streamError = (await collect(client.Repeat({ count: 2, code: 10 }, deadline()))).code;

found.collected = await new Promise((resolve, reject) => {
  const call = client.Collect(new grpc.Metadata(), deadline(), (error, reply) => (error ? reject(error) : resolve(reply.payload.length)));
  for (let index = 0; index < 100; index++) call.write({ payload: Buffer.alloc(1000) });
  call.end();
});

const talk = client.Relay(deadline());
const answers = collect(talk);
for (let index = 0; index < 50; index++) talk.write({ payload: Buffer.alloc(index) });
talk.end();
found.relayed = (await answers).replies.length;

found.many = 0;
for (let turn = 0; turn < 4; turn++) {
  const many = await Promise.all(Array.from({ length: 500 }, () => unary({ payload: Buffer.from("x") })));
  found.many += many.filter((one) => one.reply?.payload.toString() === "x").length;
}

client.close();
console.log(JSON.stringify(found));
