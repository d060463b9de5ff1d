// The system's chance: the contract, nothing else.

import { systemChance } from '../../src/system/chance.js'
import { chanceContract } from '../contract/chance.js'

chanceContract('system', () => systemChance)
