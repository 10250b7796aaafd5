// What the official DTDL parser says of many documents: a line of JSON each, of the ids it gives.
// Usage: node verdicts.mjs FILE (every line of it is a JSON text, written as a JSON string)
import fs from 'node:fs'
import { getInterop } from '@digicatapult/dtdl-parser'

const interop = await getInterop()
const ids = (text) => {
  try {
    interop.parse(text)
    return []
  } catch (error) {
    if (!error.message?.startsWith('{')) return null // it broke down, which is no verdict
    const { Errors: errors } = JSON.parse(error.message)
    return errors ? errors.map((each) => each.ValidationID.split(':').at(-1)) : ['unresolved']
  }
}
const lines = fs.readFileSync(process.argv[2], 'utf8').trim().split('\n')
console.log(lines.map((line) => JSON.stringify(ids(JSON.parse(line)))).join('\n'))
