// A Telegram Bot API that others wrote, on the port named; it ends when its input does.
import TelegramServer from "telegram-test-api";

const server = new TelegramServer({ host: "127.0.0.1", port: Number(process.argv[2]) });
await server.start();
console.log("ready");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
