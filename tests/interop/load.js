// A load of k6 that knows no proto: it asks the server by reflection, and every call must be answered as it should.
import grpc from "k6/net/grpc";
import { check } from "k6";

export const options = { vus: 10, iterations: 500, thresholds: { checks: ["rate==1"] } };

const client = new grpc.Client();

export default function () {
  if (__ITER === 0) {
    client.connect(__ENV.ADDRESS, { plaintext: true, reflect: true });
  }
  const response = client.invoke("stories.v1.UserService/GetUser", { name: __ENV.NAME });
  check(response, {
    "is OK": (got) => got.status === grpc.StatusOK,
    "is who was asked for": (got) => got.message.name === __ENV.NAME,
  });
}
