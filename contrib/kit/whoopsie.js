(function(){
var d=document,h=d.documentElement,s=[].slice.call(d.querySelectorAll('section'));
function find(l,near){
l=(''+l).toLowerCase();
return s.filter(function(e){return e.id.toLowerCase()===l})[0]||
near&&s.filter(function(e){return e.id.split('-')[0]===l.split('-')[0]})[0]
}
function show(){
var t=find(location.hash.slice(1)),w=navigator.languages||[navigator.language],i;
for(i=0;!t&&i<w.length;i++)t=find(w[i],1);
t=t||d.querySelector('.d');
s.forEach(function(e){e.classList[e===t?'add':'remove']('on')});
h.lang=t.lang;h.dir=t.dir;d.title=t.querySelector('h1').textContent
}
h.className='js';show();addEventListener('hashchange',show)
})();
