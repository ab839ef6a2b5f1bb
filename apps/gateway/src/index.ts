export { type Gateway, type GatewayOptions, startGateway } from './server.js';
