// How many, in words: `1 section`, `2 sections`. Pure.

export const amount = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
