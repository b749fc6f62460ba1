/** Commands of the documentation that need a server: test/batch/queue.test.ts runs them against one, test/docs all the others. */
export const QUEUE_ADDRESS = "redis://queue.example:6379";
/** The folder that all machines of a queue share. */
export const QUEUE_FOLDER = "/shared";

export const WORKER_COMMAND = `minmaxq worker --queue ${QUEUE_ADDRESS} --root ${QUEUE_FOLDER}/models --root ${QUEUE_FOLDER}/quantized`;
export const BATCH_COMMANDS = [
  `minmaxq batch ${QUEUE_FOLDER}/models --data ${QUEUE_FOLDER}/models/samples.npz --out ${QUEUE_FOLDER}/quantized --queue ${QUEUE_ADDRESS}`,
  "minmaxq batch jobs.json --queue env",
  `minmaxq batch jobs.json --queue ${QUEUE_ADDRESS}`,
];
