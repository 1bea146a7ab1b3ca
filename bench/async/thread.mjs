// One agent in a thread of its own: asks, waits, asks again.
import { workerData } from "node:worker_threads";

const { baseUrl, apiKey, calls, number } = workerData;
for (let call = 0; call < calls; call++) {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ model: "model", messages: [{ role: "user", content: `${number}: question ${call}` }] }),
  });
  await response.json();
}
