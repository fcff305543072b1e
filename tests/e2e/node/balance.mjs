// What @grpc/grpc-js does with the generated service config, over several servers of which one is killed.
// Arguments: addresses, file of the descriptor set, file of the config, name to read. Prints "calling", then JSON.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const CALLS = 600, CALLERS = 8;
const [addresses, descriptors, config, name] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(readFileSync(descriptors), { longs: String, defaults: true });
const { UserService } = grpc.loadPackageDefinition(definition).stories.v1;
const client = new UserService(`ipv4:${addresses}`, grpc.credentials.createInsecure(), {
  "grpc.service_config": readFileSync(config, "utf8"),
});

const codes = {};
let left = CALLS;
async function caller() {
  while (left-- > 0) {
    if (left === CALLS / 2) console.log("calling");
    const code = await new Promise((resolve) => {
      client.GetUser({ name }, { deadline: Date.now() + 20000 }, (error) => resolve(error ? error.code : 0));
    });
    codes[code] = (codes[code] ?? 0) + 1;
  }
}
await Promise.all(Array.from({ length: CALLERS }, caller));
console.log(JSON.stringify(codes));
client.close();
