/* plain.js: a plain Node.js program: reads messages of records in JSON, inserts each message's rows, acknowledges then.
 *     node plain.js HOST PORT TOPIC CONNINFO_JSON */
"use strict";

const mqtt = require("mqtt");
const pg = require("pg");
const { insertOf } = require("./insert.js");

const [host, port, topic, database] = process.argv.slice(2);
const pool = new pg.Pool({ ...JSON.parse(database), max: 2 });
const client = mqtt.connect({ host, port: Number(port), protocolVersion: 5, clientId: "peer-plain", properties: { receiveMaximum: 1000 } });

/* The library acknowledges when this calls back. */
client.handleMessage = (packet, done) => {
    pool.query(insertOf(JSON.parse(packet.payload.toString()))).then(() => done(), (error) => {
        console.error(error);
        process.exit(1);
    });
};
client.on("connect", () => client.subscribe(topic, { qos: 1 }, () => console.log("ready")));
client.on("error", (error) => {
    console.error(error);
    process.exit(1);
});
