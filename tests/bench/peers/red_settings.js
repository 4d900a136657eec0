/* red_settings.js: Node-RED without its editor; what its function node uses is the same insert as the plain program's. */
"use strict";

const pg = require("pg");
const { insertOf } = require("./insert.js");

module.exports = {
    httpAdminRoot: false,
    httpNodeRoot: false,
    flowFile: process.env.PEER_FLOW,
    credentialSecret: false,
    functionGlobalContext: { pool: new pg.Pool({ ...JSON.parse(process.env.PEER_DATABASE), max: 2 }), insertOf },
    logging: { console: { level: "info", metrics: false, audit: false } },
};
