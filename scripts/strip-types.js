// Jest transform: blanks out types in place, so line and column numbers stay true without source maps.
import { stripTypeScriptTypes } from 'node:module';

export default { process: (source) => ({ code: stripTypeScriptTypes(source) }) };
